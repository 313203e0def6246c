"""The spiders of the project, and where both begin."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import scrapy
from scrapy.http import Response


class SiteSpider(scrapy.Spider):
    """Goes through the pages of quotes of a site. `-a site=…` is another one than quotes.toscrape.com."""

    site = "https://quotes.toscrape.com"

    async def start(self) -> AsyncIterator[scrapy.Request]:
        yield scrapy.Request(f"{self.site}/")

    def parse(self, response: Response) -> Iterator[Any]:
        for part in response.css(".quote"):
            yield from self.parse_quote(response, part)
        for link in response.css(".next a"):
            yield response.follow(link, self.parse)

    def parse_quote(self, response: Response, part: scrapy.Selector) -> Iterator[Any]:
        raise NotImplementedError
