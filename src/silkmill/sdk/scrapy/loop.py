"""The loop that a crawler runs in: Twisted's reactor, or asyncio alone where Scrapy is told to do without."""

from __future__ import annotations

import asyncio
from typing import Any, Callable

from scrapy.crawler import Crawler


class Loop:
    """Made in the thread of the crawler, not before its spider opens: importing the reactor chooses one."""

    def __init__(self, crawler: Crawler) -> None:
        self._reactor: Any = None
        if crawler.settings.getbool("TWISTED_REACTOR_ENABLED", True):
            from twisted.internet import reactor

            self._reactor = reactor
        else:
            self._asyncio = asyncio.get_event_loop()

    def call(self, function: Callable[[], object]) -> None:
        """Calls it soon in the thread of the crawler; from any thread, also before the loop runs."""
        if self._reactor is not None:
            self._reactor.callFromThread(function)
        else:
            self._asyncio.call_soon_threadsafe(function)

    def call_at_end(self, function: Callable[[], object]) -> None:
        """Calls it when the reactor has stopped. Without one, the end of the process must do."""
        if self._reactor is not None:
            self._reactor.addSystemEventTrigger("after", "shutdown", function)
