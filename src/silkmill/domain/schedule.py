"""A schedule: when a spider is started by the clock, and what follows if it still runs then."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from silkmill.domain.cron_line import CronLine


class Overlap(StrEnum):
    """What becomes of a firing whose predecessor has not ended."""

    SKIP = "skip"
    QUEUE = "queue"
    REPLACE = "replace"
    ALLOW = "allow"


class CatchUp(StrEnum):
    """Which instants fire late that nobody saw pass."""

    NONE = "none"
    LAST = "last"
    ALL = "all"


class Origin(StrEnum):
    """Where it was written: a schedule of a file comes and goes with the version."""

    FILE = "file"
    HAND = "hand"


@dataclass(frozen=True, slots=True)
class ScheduleConfig:
    """What somebody has written about a schedule, checked. `cron` is five fields or an @ name."""

    name: str
    cron: str
    timezone: str = "UTC"
    overlap: Overlap = Overlap.SKIP
    catchup: CatchUp = CatchUp.NONE
    enabled: bool = True
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def line(self) -> CronLine:
        """Raises BadInput when this machine does not know the time zone (any more)."""
        return CronLine.read(self.cron, self.timezone)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The record. Instants up to `evaluated_until` were decided on and are never looked at again."""

    project: str
    spider: str
    config: ScheduleConfig
    origin: Origin
    enabled: bool
    """As switched last; `config.enabled` is what was written."""
    evaluated_until: datetime

    @property
    def key(self) -> str:
        return schedule_key(self.project, self.spider, self.config.name)

    def next_instant(self, after: datetime) -> datetime | None:
        """The first undecided one later than `after`. Raises BadInput as `ScheduleConfig.line`."""
        if not self.enabled:
            return None
        return next(self.config.line.after(max(after, self.evaluated_until)), None)


def schedule_key(project: str, spider: str, name: str) -> str:
    return f"{project}/{spider}/{name}"
