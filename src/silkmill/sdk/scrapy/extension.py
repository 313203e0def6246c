"""Listens to the signals of one crawler, and tells them to the report."""

from __future__ import annotations

from scrapy import signals
from scrapy.crawler import Crawler
from scrapy.http import Request, Response
from twisted.python.failure import Failure

from .. import messages
from .closing import close
from .crawlab import has_crawlab_pipeline, imports_crawlab
from .loop import Loop
from .middleware import asks_for_robots
from .report import report

_SIGNALS = (
    "spider_opened",
    "spider_closed",
    "request_reached_downloader",
    "response_received",
    "item_scraped",
    "item_error",
    "spider_error",
)


class SilkmillExtension:
    """Its methods bear the names of Scrapy's signals."""

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._opened = False
        for name in _SIGNALS:
            crawler.signals.connect(getattr(self, name), signal=getattr(signals, name))
        report.created()

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> SilkmillExtension:
        return cls(crawler)

    def spider_opened(self) -> None:
        self._opened = True
        report.opened()
        if imports_crawlab() and not has_crawlab_pipeline(self._crawler.settings):
            report.tally.counts_items = False
        self._loop = Loop(self._crawler)
        self._loop.call(self._say_hello)
        self._loop.call_at_end(report.conclude)

    def spider_closed(self, reason: str) -> None:
        """A spider that could not be opened is closed, too, with the reason of one that was stopped."""
        if self._opened:
            report.tally.stopped |= reason == "shutdown"
            report.closed(reason)

    def request_reached_downloader(self, request: Request) -> None:
        report.tally.requests += not asks_for_robots(request)

    def response_received(self, response: Response, request: Request) -> None:
        if not asks_for_robots(request):
            report.tally.pages += 1
            report.tally.responses[str(response.status)] += 1

    def item_scraped(self) -> None:
        report.tally.scraped += 1

    def item_error(self, failure: Failure) -> None:
        self.spider_error(failure)

    def spider_error(self, failure: Failure) -> None:
        if failure.value is not None:
            report.raised(failure.value)

    def _say_hello(self) -> None:
        """When the loop runs: by then every crawler of this process has loaded what it is made of."""
        if not imports_crawlab():
            messages.say_hello()
            messages.on_cancel(lambda: self._loop.call(self._cancel))

    def _cancel(self) -> None:
        report.tally.stopped = True
        close(self._crawler)
