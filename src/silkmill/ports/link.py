"""What an agent and a master say to each other, in memory or over a network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from silkmill.domain.attempt import AttemptRef, Positions
from silkmill.domain.outcome import Facts
from silkmill.domain.spider import SpiderConfig
from silkmill.domain.states import Phase
from silkmill.domain.statistics import Statistics
from silkmill.domain.version import FileEntry


@dataclass(frozen=True, slots=True)
class Held:
    """An attempt that a registering agent still has, and how far it is."""

    ref: AttemptRef
    phase: Phase
    pid: int | None = None
    started_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Registration:
    """A starting agent (or one whose heartbeat was refused) introduces itself."""

    node: str
    name: str
    boot_id: str
    max_runners: int
    held: tuple[Held, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    embedded: bool = False


@dataclass(frozen=True, slots=True)
class Kept:
    """A held attempt that goes on under the new session; its streams go on at `positions`."""

    ref: AttemptRef
    positions: Positions


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """Stop this attempt; repeated in every answer until its Finish."""

    ref: AttemptRef
    force: bool = False


@dataclass(frozen=True, slots=True)
class Registered:
    """`kept` attempts go on; every other held one is stale: kill it, keep its directory 24 h."""

    session: str
    kept: tuple[Kept, ...] = ()
    cancels: tuple[CancelOrder, ...] = ()


@dataclass(frozen=True, slots=True)
class Offer:
    """A task for a free slot. Nothing may be started before `accept` is answered."""

    ref: AttemptRef


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """The answer to an accept: all that an agent needs to prepare and start the attempt.

    `argv` is the rendered command; `params` are the resolved parameters; `env` the declared environment."""

    ref: AttemptRef
    project: str
    spider: str
    version: str
    config: SpiderConfig
    files: tuple[FileEntry, ...]
    argv: tuple[str, ...]
    params: dict[str, Any]
    env: dict[str, str]
    cancel: CancelOrder | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What a running attempt tells of itself now; `status`: its latest STATUS message, as JSON."""

    ref: AttemptRef
    statistics: Statistics
    status: str | None = None


Command = Offer | CancelOrder


class MasterLink(Protocol):
    """What an agent calls. Every call raises Unavailable when no master answers (repeat with back-off),
    StaleAttempt (kill the attempt, keep its directory) or StaleSession (register, then repeat).
    ACCEPT, START, EXIT and FINISH are repeated until answered; a repeat whose effect stands is a success."""

    async def register(self, registration: Registration) -> Registered: ...

    def commands(self, session: str) -> AsyncIterator[Command]:
        """What the master pushes to this session, in order. Ends when another session replaces it."""

    async def heartbeat(self, node: str, session: str) -> tuple[CancelOrder, ...]:
        """Renew the lease (every 5 s). Answered after the commit."""

    async def accept(self, session: str, ref: AttemptRef) -> WorkOrder: ...

    async def refuse(self, session: str, ref: AttemptRef, reason: str) -> None:
        """No free slot: the offer is withdrawn at once."""

    async def preparing(self, session: str, ref: AttemptRef, doing: str, *, away: bool) -> None:
        """A hint: what the preparation does or waits for. `away`: for something outside (a package index);
        limits.prepare begins anew."""

    async def start(self, session: str, ref: AttemptRef, pid: int, at: datetime) -> CancelOrder | None: ...

    async def slot_free(self, session: str, ref: AttemptRef) -> None:
        """A hint: the attempt's runner can take another task, though its streams are still on the way."""

    async def exit(self, session: str, ref: AttemptRef) -> None:
        """The process tree is gone. May be left out when `finish` follows at once."""

    async def append_log(self, session: str, ref: AttemptRef, offset: int, data: bytes) -> int:
        """Answers with the stored log offset. Raises OffsetMismatch (go on at `expected`)."""

    async def append_items(
        self, session: str, ref: AttemptRef, offset: int, first_ordinal: int, records: Sequence[bytes]
    ) -> int:
        """Answers with the stored items offset. Raises OffsetMismatch."""

    async def statistics(self, session: str, reports: Sequence[Report]) -> None:
        """The latest of running attempts, all in one message. Not repeated when it is not answered: the next
        one says more. Reports of attempts that are not open under this session are dropped."""

    async def finish(self, session: str, ref: AttemptRef, facts: Facts) -> None:
        """The end, conditional on both streams being stored as far as `facts` says. Raises Incomplete."""

    async def give_back(self, session: str, ref: AttemptRef, reason: str) -> None:
        """The agent lets the attempt go without an outcome (a drain)."""

    def blob(self, sha256: str, start: int = 0) -> AsyncIterator[bytes]:
        """The content of one file of a version from byte `start` on, in pieces of at most 1 MiB. After an
        Unavailable it is asked for again, from the byte behind the last piece. Raises NotFound."""
