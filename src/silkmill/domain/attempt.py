"""One execution of a task: open while it may still write, closed for good afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from silkmill.domain.states import Phase
from silkmill.domain.statistics import Statistics


@dataclass(frozen=True, slots=True)
class AttemptRef:
    """Names an attempt: what every write of a worker carries."""

    task_id: str
    number: int

    def __str__(self) -> str:
        return f"{self.task_id}.{self.number}"


@dataclass(frozen=True, slots=True)
class Positions:
    """How much of the attempt's streams is stored. Bytes of framed log, bytes of item lines, items.

    Only `store.append_*` and `store.move_log` move them, and `store.claim` sets them to zero; `swap` never
    writes them."""

    log_offset: int = 0
    items_offset: int = 0
    items_count: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """The open attempt. `session` is None once it is lost."""

    number: int
    node: str
    session: str | None
    phase: Phase
    offered_at: datetime
    started_at: datetime | None = None
    pid: int | None = None
    log_gap: tuple[int, int] | None = None
    """The dropped middle of a log over its cap: first byte dropped, first byte kept again."""
    spider_permit: str | None = None
    project_permit: str | None = None
    """`<project>/<spider>#k` and `<project>#k`, k below the limit, unique while attempts are open: so no more
    than the limit can run at once, whoever claims. None: there was no limit."""


@dataclass(frozen=True, slots=True)
class ClosedAttempt:
    """An attempt of the history. `accepted`: it gave the task its final state."""

    number: int
    node: str
    phase: Phase
    outcome: str
    """exit | signal | limit | cancelled | lost | given_back | never_started"""
    error_class: str | None
    reason: str | None
    exit_code: int | None
    signal: int | None
    accepted: bool
    counted: bool
    """Ended with an outcome of its own: counts towards max_attempts."""
    started_at: datetime | None
    finished_at: datetime
    log_offset: int
    items_offset: int
    items_count: int
    statistics: Statistics = Statistics()
    log_gap: tuple[int, int] | None = None
    log_object: str | None = None
    merged_at: datetime | None = None
    chunks_deleted: bool = False
    log_damaged_at: datetime | None = None
    """When bytes of its log were last found to be missing; looked at again a day later."""
    log_closed: bool = False
    """Of a lost attempt: its node was there to write the closing line."""
