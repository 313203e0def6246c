"""Closes a spider gracefully when its task is cancelled, so that the state of JOBDIR is written."""

from __future__ import annotations

import signal
from contextlib import suppress
from typing import Any

from scrapy.crawler import Crawler
from scrapy.utils.defer import deferred_from_coro

_REASON = "cancelled"


def close(crawler: Crawler) -> None:
    """In the thread of the crawler; its spider is open, or has closed."""
    engine: Any = crawler.engine
    if engine.spider is None:
        return
    _ignore_sigterm()
    if hasattr(engine, "close_spider_async"):
        deferred_from_coro(engine.close_spider_async(reason=_REASON))
    else:
        engine.close_spider(engine.spider, _REASON)


def _ignore_sigterm() -> None:
    """The SIGTERM that follows asks for what is happening already; Scrapy would stop before it is done."""
    if getattr(signal.getsignal(signal.SIGTERM), "__module__", None) == "scrapy.crawler":
        with suppress(ValueError):  # the crawler is not in the main thread
            signal.signal(signal.SIGTERM, lambda *_: None)
