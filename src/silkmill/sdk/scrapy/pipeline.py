"""Saves each item that came through all pipelines of the project."""

from __future__ import annotations

import logging
from typing import Any, Optional

from itemadapter import ItemAdapter
from scrapy.crawler import Crawler
from scrapy.exceptions import NotConfigured

from .. import messages
from ..values import members_of
from .crawlab import imports_crawlab
from .report import report

logger = logging.getLogger(__name__)


class SilkmillPipeline:
    """`SILKMILL_ITEMS = False` turns it off."""

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._saves = True

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> SilkmillPipeline:
        if not crawler.settings.getbool("SILKMILL_ITEMS", True):
            raise NotConfigured
        return cls(crawler)

    def open_spider(self, spider: Any = None) -> None:
        self._saves = not imports_crawlab()
        if not self._saves:
            logger.info("crawlab is imported and saves the items: Silkmill's own pipeline does not.")

    def process_item(self, item: Any, spider: Optional[Any] = None) -> Any:
        """An item that cannot be saved is an error, but goes on to the feeds of the project."""
        if self._saves:
            try:
                messages.save_item(_with_members(item))
            except (TypeError, ValueError) as problem:
                self._report(item, problem)
        return item

    def _report(self, item: Any, problem: Exception) -> None:
        report.tally.unsaved += 1
        report.raised(problem)
        logger.error("Error saving %.200r", item, exc_info=True, extra={"spider": self._crawler.spider})


def _with_members(item: Any) -> Any:
    """The item, or a dict of it where only Scrapy's adapters know its fields."""
    if members_of(item) is None and ItemAdapter.is_item(item):
        return ItemAdapter(item).asdict()
    return item
