"""What is counted over all crawlers of this process, and the STATUS made of it."""

from __future__ import annotations

from collections import Counter
from typing import Any, Dict, List, Optional

_MOST_NAMES = 40
_LONGEST_NAME = 60  # characters, of up to four bytes each: 40 of them twice stay below 16 KiB


class Tally:
    """Numbers only grow. Exceptions are those that the spider, its pipelines or its middlewares raised;
    failures are requests that ended without a response; both by the name of the exception's class."""

    def __init__(self) -> None:
        self.pages = self.requests = self.scraped = self.unsaved = self.errors = 0
        self.opened = 0
        self.stopped = False
        self.counts_items = True  # False: something saves items that are seen nowhere
        self.responses: Counter[str] = Counter()
        self.exceptions: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.network_failures = 0
        self.first_messages: Dict[str, str] = {}
        self.finish_reasons: List[str] = []

    @property
    def items(self) -> int:
        """Items that came through all pipelines, ours too."""
        return max(self.scraped - self.unsaved, 0)

    def numbers(self) -> Dict[str, Any]:
        """Reads plain numbers alone: another thread may count meanwhile."""
        return {
            "pages": self.pages,
            "items": self.items,
            "requests": self.requests,
            "errors": self.errors,
        }

    def summary(self) -> Dict[str, Any]:
        """The numbers, and what can be said of a spider that has closed."""
        return {
            **self.numbers(),
            "finish_reason": ", ".join(dict.fromkeys(self.finish_reasons))[:200],
            "responses": _bounded(self.responses),
            "exceptions": _bounded(self.exceptions + self.failures),
        }


def most_frequent(counts: Counter[str]) -> Optional[str]:
    return counts.most_common(1)[0][0] if counts else None


def _bounded(counts: Counter[str]) -> Dict[str, int]:
    """The most frequent ones; the rest together as "other"."""
    bounded: Counter[str] = Counter()
    for place, (name, count) in enumerate(counts.most_common()):
        bounded[name[:_LONGEST_NAME] if place < _MOST_NAMES else "other"] += count
    return dict(bounded)
