"""Sees requests that end without a response."""

from __future__ import annotations

from typing import Any, Optional

from scrapy.exceptions import IgnoreRequest, NotSupported
from scrapy.http import Request

from .report import report

# What a bug of the project raises, rather than the network; an OSError is of the network even if it is one.
_BUGS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    TypeError,
    ValueError,
    NotSupported,
)


class SilkmillMiddleware:
    """The last to be asked about an exception: what comes here was neither retried nor replaced."""

    def process_exception(self, request: Request, exception: Exception, spider: Optional[Any] = None) -> None:
        if not isinstance(exception, IgnoreRequest) and not asks_for_robots(request):
            report.failed(exception, isinstance(exception, OSError) or not isinstance(exception, _BUGS))


def asks_for_robots(request: Request) -> bool:
    """Whether Scrapy itself asks for a robots.txt: the spider goes on without it."""
    return bool(request.meta.get("dont_obey_robotstxt")) and request.url.endswith("/robots.txt")
