"""A master in memory for the tests of the worker: it stores bytes by offset, refuses like the real one, and
fails on demand."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from silkmill.domain.attempt import AttemptRef, Positions
from silkmill.domain.errors import Incomplete, NotFound, StaleAttempt, StaleSession, Unavailable
from silkmill.domain.outcome import Facts
from silkmill.domain.spider import Limits, SpiderConfig
from silkmill.domain.states import Phase
from silkmill.domain.task import appended
from silkmill.domain.version import FileEntry
from silkmill.ports.link import (
    CancelOrder,
    Command,
    Held,
    Kept,
    Offer,
    Registered,
    Registration,
    Report,
    WorkOrder,
)

Fault = Callable[[], None]
QUICK = Limits(grace_seconds=0.5)


@dataclass
class Stored:
    """What the master knows of one attempt."""

    order: WorkOrder
    session: str
    phase: Phase = Phase.OFFERED
    pid: int | None = None
    log: bytearray = field(default_factory=bytearray)
    items: list[bytes] = field(default_factory=list)
    items_offset: int = 0
    log_appends: list[tuple[int, int]] = field(default_factory=list)
    item_appends: list[tuple[int, int]] = field(default_factory=list)
    cancel: CancelOrder | None = None
    reports: list[Report] = field(default_factory=list)
    facts: Facts | None = None
    given_back: str | None = None
    preparing: list[tuple[str, bool]] = field(default_factory=list)
    closed: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def positions(self) -> Positions:
        return Positions(len(self.log), self.items_offset, len(self.items))


class FakeMaster:
    """Implements ports.link.MasterLink. `calls` is the record of what was asked, in order.

    `before[method]` and `after[method]` are faults for the next calls, one each; `after` strikes when the
    effect stands, so that its answer is lost."""

    def __init__(self, slots: int = 4) -> None:
        self.attempts: dict[AttemptRef, Stored] = {}
        self.blobs: dict[str, bytes] = {}
        self.calls: list[tuple[str, Any]] = []
        self.before: dict[str, list[Fault]] = defaultdict(list)
        self.after: dict[str, list[Fault]] = defaultdict(list)
        self.registrations: list[Registration] = []
        self.refused: list[tuple[AttemptRef, str]] = []
        self.slots_freed: list[AttemptRef] = []
        self.away = False
        self.session = ""
        self._commands: dict[str, asyncio.Queue[Command | None]] = {}
        self.registered = asyncio.Event()

    # What a test does.
    def file(self, path: str, content: bytes, mode: int = 0o644) -> FileEntry:
        sha256 = hashlib.sha256(content).hexdigest()
        self.blobs[sha256] = content
        return FileEntry(path, sha256, len(content), mode)

    def offer(
        self,
        argv: Sequence[str],
        *,
        files: Sequence[FileEntry] = (),
        params: dict[str, Any] | None = None,
        env: dict[str, str] | None = None,
        limits: Limits = QUICK,
        config: SpiderConfig | None = None,
    ) -> Stored:
        ref = AttemptRef(str(uuid.uuid4()), 1)
        config = config or SpiderConfig(name="spider", command=tuple(argv), limits=limits)
        order = WorkOrder(
            ref, "default", "spider", "v1", config, tuple(files), tuple(argv), params or {}, env or {}
        )
        self.attempts[ref] = stored = Stored(order, self.session)
        self._commands[self.session].put_nowait(Offer(ref))
        return stored

    def cancel(self, stored: Stored, *, force: bool = False) -> None:
        stored.cancel = CancelOrder(stored.order.ref, force)
        self._commands[self.session].put_nowait(stored.cancel)

    def lose_session(self) -> None:
        """The session of the agent is not the present one any more."""
        self.session = "another"

    def close(self, stored: Stored) -> None:
        """The attempt is not the open one any more."""
        stored.closed = True

    def fail(self, method: str, times: int = 1) -> None:
        """The next calls are not answered and have no effect."""
        self.before[method] += [self._unavailable] * times

    def lose_answer(self, method: str, times: int = 1) -> None:
        """The next calls have their effect, but are not answered."""
        self.after[method] += [self._unavailable] * times

    def called(self, method: str) -> list[Any]:
        return [argument for name, argument in self.calls if name == method]

    # What an agent asks.
    async def register(self, registration: Registration) -> Registered:
        self._enter("register", registration)
        self.registrations.append(registration)
        for queue in self._commands.values():
            queue.put_nowait(None)
        self.session = secrets.token_hex(4)
        self._commands[self.session] = asyncio.Queue()
        kept = [kept for held in registration.held if (kept := self._adopt(held))]
        cancels = [
            stored.cancel for stored in self.attempts.values() if stored.cancel and not stored.ended.is_set()
        ]
        self.registered.set()
        self._leave("register")
        return Registered(self.session, tuple(kept), tuple(cancels))

    async def commands(self, session: str) -> AsyncIterator[Command]:
        self._enter("commands", session)
        if session not in self._commands:
            raise StaleSession("node", session)
        while (command := await self._commands[session].get()) is not None:
            yield command

    async def heartbeat(self, node: str, session: str) -> tuple[CancelOrder, ...]:
        self._enter("heartbeat", session)
        if session != self.session:
            raise StaleSession(node, session)
        return tuple(s.cancel for s in self.attempts.values() if s.cancel and not s.ended.is_set())

    async def accept(self, session: str, ref: AttemptRef) -> WorkOrder:
        stored = self._enter_attempt("accept", session, ref)
        stored.phase = Phase.PREPARING
        self._leave("accept")
        order = stored.order
        return order if stored.cancel is None else _cancelled(order, stored.cancel)

    async def refuse(self, session: str, ref: AttemptRef, reason: str) -> None:
        self._enter_attempt("refuse", session, ref)
        self.refused.append((ref, reason))

    async def preparing(self, session: str, ref: AttemptRef, doing: str, *, away: bool) -> None:
        self._enter_attempt("preparing", session, ref)
        self.attempts[ref].preparing.append((doing, away))

    async def start(self, session: str, ref: AttemptRef, pid: int, at: datetime) -> CancelOrder | None:
        stored = self._enter_attempt("start", session, ref)
        stored.phase, stored.pid = Phase.EXECUTING, pid
        self._leave("start")
        return stored.cancel

    async def slot_free(self, session: str, ref: AttemptRef) -> None:
        self._enter("slot_free", ref)
        self.slots_freed.append(ref)

    async def exit(self, session: str, ref: AttemptRef) -> None:
        stored = self._enter_attempt("exit", session, ref)
        assert stored.phase is not Phase.PREPARING, "EXIT before START"
        stored.phase = Phase.COMPLETING
        self._leave("exit")

    async def append_log(self, session: str, ref: AttemptRef, offset: int, data: bytes) -> int:
        stored = self._enter_attempt("append_log", session, ref)
        if not appended(len(stored.log), offset, len(data)):
            stored.log += data
        stored.log_appends.append((offset, len(data)))
        self._leave("append_log")
        return len(stored.log)

    async def append_items(
        self, session: str, ref: AttemptRef, offset: int, first_ordinal: int, records: Sequence[bytes]
    ) -> int:
        stored = self._enter_attempt("append_items", session, ref)
        length = sum(map(len, records)) + len(records)
        if not appended(stored.items_offset, offset, length):
            assert first_ordinal == len(stored.items), f"ordinal {first_ordinal}, stored {len(stored.items)}"
            stored.items += records
            stored.items_offset += length
        stored.item_appends.append((offset, len(records)))
        self._leave("append_items")
        return stored.items_offset

    async def statistics(self, session: str, reports: Sequence[Report]) -> None:
        self._enter("statistics", [report.ref for report in reports])
        for report in reports:
            stored = self.attempts.get(report.ref)
            if stored and stored.session == session and not (stored.closed or stored.ended.is_set()):
                stored.reports.append(report)

    async def finish(self, session: str, ref: AttemptRef, facts: Facts) -> None:
        stored = self.attempts[ref]
        if stored.facts is not None:
            self._enter("finish", ref)
            assert stored.facts == facts, "another end than the one that stands"
            return
        self._enter_attempt("finish", session, ref)
        if facts.exit_code is not None or facts.signal is not None:
            assert stored.phase is not Phase.PREPARING, "FINISH before START"
        have = stored.positions
        if (have.log_offset, have.items_offset, have.items_count) < (
            facts.log_size,
            facts.items_size,
            facts.items_count,
        ):
            raise Incomplete(ref.task_id, ref.number)
        if stored.cancel is not None and not facts.verified:
            stored.session = "none: abnormal, the cancel is not verified"
            return
        stored.facts = facts
        stored.ended.set()
        self._leave("finish")

    async def give_back(self, session: str, ref: AttemptRef, reason: str) -> None:
        stored = self._enter_attempt("give_back", session, ref)
        stored.given_back = reason
        stored.ended.set()
        self._leave("give_back")

    async def blob(self, sha256: str, start: int = 0) -> AsyncIterator[bytes]:
        self._enter("blob", sha256)
        if sha256 not in self.blobs:
            raise NotFound("blob", sha256)
        yield self.blobs[sha256][start:]

    def _enter(self, method: str, argument: Any) -> None:
        self.calls.append((method, argument))
        if self.away:
            self._unavailable()
        if self.before[method]:
            self.before[method].pop(0)()

    def _enter_attempt(self, method: str, session: str, ref: AttemptRef) -> Stored:
        self._enter(method, ref)
        stored = self.attempts.get(ref)
        if stored is None or stored.closed or stored.ended.is_set():
            raise StaleAttempt(ref.task_id, ref.number)
        if session != self.session or stored.session != session:
            raise StaleSession("node", session)
        return stored

    def _leave(self, method: str) -> None:
        if self.after[method]:
            self.after[method].pop(0)()

    def _adopt(self, held: Held) -> Kept | None:
        stored = self.attempts.get(held.ref)
        if stored is None or stored.closed or stored.ended.is_set() or stored.phase is Phase.OFFERED:
            return None
        stored.session, stored.phase = self.session, held.phase
        return Kept(held.ref, stored.positions)

    @staticmethod
    def _unavailable() -> None:
        raise Unavailable("link", "made by the test")


def _cancelled(order: WorkOrder, cancel: CancelOrder) -> WorkOrder:
    return replace(order, cancel=cancel)


def known(master: FakeMaster, task_id: str) -> Stored:
    """The master knows the attempt, which runs, and has none of its bytes."""
    ref = AttemptRef(task_id, 1)
    order = WorkOrder(ref, "default", "spider", "v1", SpiderConfig("spider"), (), (), {}, {})
    master.attempts[ref] = stored = Stored(order, "before", Phase.EXECUTING)
    return stored
