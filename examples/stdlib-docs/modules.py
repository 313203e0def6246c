"""The spider: from the index of modules to the page of each, and on to the parts of packages."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import scrapy
from scrapy.exceptions import CloseSpider
from scrapy.http import TextResponse

from silkmill.sdk import cancelled, save_item, status

# pydoc imports what it documents. Some modules do something then: open a browser or a window, print, run
# tests. `__main__` of a package is a program. Names that begin with _ are nobody's documentation.
LEFT_OUT = re.compile(
    r"(antigravity|this|idlelib|lib2to3|tkinter|distutils|ensurepip|turtle\w*|test\w*|xx\w*)(\.|$)"
    r"|(.*\.)?(_[^.]*|tests?)(\.|$)"
)


class SaveItem:
    """The item pipeline: what the spider yields becomes an item of the task."""

    def process_item(self, item: dict[str, Any]) -> dict[str, Any]:
        save_item(item)
        return item


class ModulesSpider(scrapy.Spider):
    name = "modules"

    def __init__(self, index: str) -> None:
        super().__init__()
        self.index = index
        self.found: set[str] = set()
        self.read = 0

    async def start(self) -> AsyncIterator[scrapy.Request]:
        yield scrapy.Request(self.index, self.parse_index)

    def parse_index(self, response: TextResponse) -> Iterator[scrapy.Request]:
        yield from self.follow_modules(response)
        self.logger.info("the index names %d modules", len(self.found))

    def parse_module(self, response: TextResponse, module: str) -> Iterator[Any]:
        if cancelled():
            raise CloseSpider("cancelled")
        self.read += 1
        yield from self.follow_modules(response)
        item = read_module(response, module)
        if item is None:
            self.logger.info("%s cannot be imported here", module)
            return
        yield item
        self.logger.info("%s: %s", module, item["synopsis"])
        status(progress=self.read / len(self.found), message=module, modules=self.read)

    def follow_modules(self, response: TextResponse) -> Iterator[scrapy.Request]:
        """Lists of modules are in columns, on the index and on the pages of packages."""
        for link in response.css("td.multicolumn a::attr(href)").getall():
            module = link.removesuffix(".html")
            if link != module and module not in self.found and not LEFT_OUT.match(module):
                self.found.add(module)
                yield response.follow(link, self.parse_module, cb_kwargs={"module": module})


def read_module(response: TextResponse, module: str) -> dict[str, Any] | None:
    """The item of a module's page; None for the error page that pydoc serves with status 200 instead."""
    kind, _, titled = response.css("title::text").get("").removeprefix("Pydoc: ").rpartition(" ")
    if titled != module:
        return None
    first_lines = response.css("p > span.code").xpath("string()").get("").strip().splitlines()
    return {
        "module": module,
        "kind": kind,
        "synopsis": first_lines[0].replace("\xa0", " ") if first_lines else "",
        "classes": len(response.css("td.section-title > a[name]")),
        "functions": len(section(response, "Functions").css("dt > a[name]")),
        "links": len(set(response.css("a::attr(href)").getall())),
        "bytes": len(response.body),
        "url": response.url,
    }


def section(response: TextResponse, title: str) -> Any:
    return response.xpath('//table[@class="section"][tr[1]//strong[@class="bigsection"]=$title]', title=title)
