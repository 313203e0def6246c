"""Every quote, with its author and tags."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import scrapy
from scrapy.http import Response

from quotes.spiders import SiteSpider


class QuotesSpider(SiteSpider):
    name = "quotes"

    def parse_quote(self, response: Response, part: scrapy.Selector) -> Iterator[Any]:
        yield {
            "text": part.css(".text::text").get(),
            "author": part.css(".author::text").get().strip(),
            "tags": part.css(".tag::text").getall(),
        }
