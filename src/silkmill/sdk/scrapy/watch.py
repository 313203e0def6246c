"""Sees exceptions that Scrapy only logs.

These have no signal: what `start_requests` of an older Scrapy raises, a spider that cannot be opened,
a pipeline that fails to close, a downloader middleware that fails over a response.
"""

from __future__ import annotations

import logging

from .report import report

_LOGGERS = ("scrapy.core.engine", "scrapy.core.scraper", "twisted", "asyncio")


def watch_logs() -> None:
    """A filter, because Scrapy's own set-up of logging takes handlers away, and one on the root logger would
    make `logging.basicConfig` of a program do nothing."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_see)


def _see(record: logging.LogRecord) -> bool:
    if record.levelno >= logging.ERROR and record.exc_info and record.exc_info[1]:
        report.raised(record.exc_info[1])
    return True
