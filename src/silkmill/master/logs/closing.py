"""The closing line of an attempt that was lost with its worker: nobody was left to write it into the log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from silkmill.domain.attempt import ClosedAttempt
from silkmill.domain.task import Task
from silkmill.master.logs.pages import LogPage
from silkmill.protocol.logframe import system_line

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def closing_page(task: Task, number: int) -> LogPage | None:
    """The line as the record tells it, behind the last byte; it takes no room in the log.

    None for an attempt whose log has its closing line, or that has not ended."""
    closed = next((past for past in task.history if past.number == number), None)
    if closed is None or closed.outcome != "lost" or closed.log_closed:
        return None
    end = closed.log_offset
    return LogPage(end, system_line(_reason(closed), _nanoseconds(closed.finished_at)), end, end=True)


def _reason(closed: ClosedAttempt) -> str:
    reason = closed.reason or "its worker died"
    return reason if reason.startswith("lost") else f"lost: {reason}"


def _nanoseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND * 1000
