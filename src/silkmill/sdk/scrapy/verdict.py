"""Whether a crawl failed as a whole. Scrapy itself exits with 0, whatever happened."""

from __future__ import annotations

from typing import NamedTuple, Optional

from .tally import Tally, most_frequent


class Verdict(NamedTuple):
    """What a fatal ERROR frame tells: the class `network`, or that of an exception, and why."""

    error_class: str
    message: str


def verdict(tally: Tally, items_saved: int) -> Optional[Verdict]:
    """None where it went well, in part at least, or was stopped: then `[outcome]` and the stop itself decide.

    `items_saved` is what this process saved in any way. A failure that is a bug of the project (a middleware
    raised `KeyError`) is none of the network, unless others are.
    """
    if tally.stopped:
        return None
    if tally.failures and not tally.pages:
        return _every_request_failed(tally)
    if tally.exceptions and not (tally.items or items_saved) and tally.counts_items:
        return _nothing_but_exceptions(tally)
    return None


def _every_request_failed(tally: Tally) -> Verdict:
    name = most_frequent(tally.failures) or ""
    count = sum(tally.failures.values())
    whole = "all %d requests" % count if count > 1 else "the only request"
    message = "%s failed, most with %s: %s" if count > 1 else "%s failed with %s: %s"
    error_class = "network" if tally.network_failures else name
    return Verdict(error_class, message % (whole, name, tally.first_messages.get(name, "")))


def _nothing_but_exceptions(tally: Tally) -> Verdict:
    name = most_frequent(tally.exceptions) or ""
    why = tally.first_messages.get(name, "")
    if not tally.opened:
        return Verdict(name, "no spider was opened: " + why)
    count = sum(tally.exceptions.values())
    times = "%d exceptions" % count if count > 1 else "an exception"
    return Verdict(name, "%s and no item saved: %s" % (times, why))
