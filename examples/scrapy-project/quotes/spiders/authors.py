"""Everybody who is quoted, from the page about them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import scrapy
from scrapy.http import Response

from quotes.spiders import SiteSpider


class AuthorsSpider(SiteSpider):
    name = "authors"

    def parse_quote(self, response: Response, part: scrapy.Selector) -> Iterator[Any]:
        yield from response.follow_all(part.css("a[href*='/author/']"), self.parse_author)

    def parse_author(self, response: Response) -> Iterator[Any]:
        yield {
            "author": response.css(".author-title::text").get(),
            "born": response.css(".author-born-date::text").get(),
            "text": response.css(".author-description::text").get(),
        }
