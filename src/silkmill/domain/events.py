"""What can happen to a task, as values: each event was decided before it is applied."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from silkmill.domain.outcome import Verdict
from silkmill.domain.states import Move, Phase
from silkmill.domain.statistics import Statistics


@dataclass(frozen=True, slots=True)
class Release:
    """created → pending: the delay, back-off or overlap is over."""

    move = Move.RELEASE


@dataclass(frozen=True, slots=True)
class Hold:
    """pending → created until `until` (None: until the named reason goes away)."""

    reason: str
    until: datetime | None
    move = Move.HOLD


@dataclass(frozen=True, slots=True)
class Assign:
    """A new attempt, offered to a node's session, with the permits it holds while it is open."""

    node: str
    session: str
    at: datetime
    spider_permit: str | None = None
    project_permit: str | None = None
    move = Move.ASSIGN


@dataclass(frozen=True, slots=True)
class Accept:
    """The node took the offer and prepares."""

    move = Move.ACCEPT


@dataclass(frozen=True, slots=True)
class Start:
    """The spider's process runs."""

    pid: int
    at: datetime
    move = Move.START


@dataclass(frozen=True, slots=True)
class Exit:
    """The spider's process tree is gone; what it said is on its way."""

    move = Move.EXIT


@dataclass(frozen=True, slots=True)
class Finish:
    """It ended well and everything is stored."""

    verdict: Verdict
    at: datetime
    move = Move.FINISH


@dataclass(frozen=True, slots=True)
class Retry:
    """It failed, and a new attempt is due at `next_attempt_at`."""

    verdict: Verdict
    at: datetime
    next_attempt_at: datetime
    move = Move.RETRY


@dataclass(frozen=True, slots=True)
class Fail:
    """It failed for good."""

    verdict: Verdict
    at: datetime
    move = Move.FAIL


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stopped on request and verified dead, or never started.

    `verdict`: how the attempt itself ended, which its history keeps."""

    reason: str
    at: datetime
    verdict: Verdict | None = None
    move = Move.CANCEL


@dataclass(frozen=True, slots=True)
class Lose:
    """The engine lost sight of the attempt; it stays open without a session."""

    reason: str
    move = Move.LOSE


@dataclass(frozen=True, slots=True)
class Adopt:
    """A node's new session holds the attempt and says how far it is.

    `node`: the id that it has now, if it is not the one it had."""

    session: str
    phase: Phase
    pid: int | None = None
    started_at: datetime | None = None
    node: str | None = None
    move = Move.ADOPT


@dataclass(frozen=True, slots=True)
class GiveBack:
    """The attempt ends without an outcome and the task waits again, with no back-off.

    `lost`: it went with its worker, which has a limit of its own. An offer that nobody took is withdrawn by
    this event too, and is not kept in the history."""

    reason: str
    at: datetime
    lost: bool = False
    statistics: Statistics = Statistics()
    move = Move.GIVE_BACK


Event = (
    Release | Hold | Assign | Accept | Start | Exit | Finish | Retry | Fail | Cancel | Lose | Adopt | GiveBack
)
