"""The dispatcher: places pending tasks on free slots, by claim and then offer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NoReturn

from silkmill.domain.attempt import AttemptRef
from silkmill.domain.errors import Conflict, NotFound, Unavailable
from silkmill.domain.events import Accept, Assign
from silkmill.domain.placement import ANYWHERE, Placement
from silkmill.domain.task import Task, advance
from silkmill.master.admission import Admission
from silkmill.master.backlog import Backlog, Waiting
from silkmill.master.ending import let_go
from silkmill.master.feed import Feed, Hint, LimitsChanged, Resync, TaskChanged
from silkmill.master.permits import NO_PERMITS, PermitBook, Permits
from silkmill.master.tasks import Tasks
from silkmill.master.workers import Workers
from silkmill.ports.clock import Clock
from silkmill.ports.link import Offer
from silkmill.runtime import faults
from silkmill.runtime.loop import every

LOOK_SECONDS = 1.0
"""The safety net: normally a committed task or a freed slot wakes the dispatcher."""
REREAD_SECONDS = 5.0
"""The queue is read anew after so long: another process may have changed it."""
PAUSE_SECONDS = 0.5
"""After a claim that the store did not take."""
HEAD_START_TURNS = 4
"""Of the event loop, in which the embedded agent prepares and starts a new task before the answer to its
submitter is made: that takes about as long, and the start is what is waited for."""


class Dispatcher:
    """Takes the first task of all queues that have a permit and a slot, so what cannot run costs nothing.

    A slot is taken when the claim begins, so that claims for several slots share one commit.

    The embedded agent lives and dies with its master and cannot miss an offer: for it ASSIGN and ACCEPT are
    one write, and a new task that need not wait is stored as claimed."""

    def __init__(
        self,
        admission: Admission,
        tasks: Tasks,
        permits: PermitBook,
        workers: Workers,
        feed: Feed,
        clock: Clock,
    ) -> None:
        self._admission, self._tasks, self._permits = admission, tasks, permits
        self._workers, self._clock = workers, clock
        self._backlog = Backlog()
        self._has_looked = False
        self._reread_at = self._paused_until = float("-inf")
        self._claims: set[asyncio.Task[None]] = set()
        self.wake = asyncio.Event()
        feed.watch(permits.notice)
        feed.watch(self._notice)
        workers.slots.watch(self.wake.set)

    async def run(self) -> NoReturn:
        """Place tasks until cancelled. A slot that frees while claims are under way is used at once."""
        async with asyncio.TaskGroup() as claims:
            try:
                await every(LOOK_SECONDS, lambda: self._place(claims), wake=self.wake)
            finally:  # a claim that nobody waits for would be committed all the same
                while self._claims:
                    await asyncio.wait(self._claims)

    async def tick(self) -> None:
        """Place what fits now; returns when the claims are done."""
        async with asyncio.TaskGroup() as claims:
            await self._place(claims)

    async def insert(self, task: Task) -> Task:
        """Store a new pending task, with its first attempt if nothing stands in its way; answers as stored.

        Raises Unavailable (then it may have been stored)."""
        session = await self._session_at_once(task)
        if session is None:
            await self._tasks.insert([task])
            return task
        claimed, ref = self._claimed(task, session, NO_PERMITS)
        try:
            await self._tasks.insert_claimed(claimed)
        except (Unavailable, asyncio.CancelledError):
            self._doubt(ref, session)
            raise
        await self._offer(ref, session)
        for _ in range(HEAD_START_TURNS):
            await asyncio.sleep(0)
        return claimed

    def drain(self) -> None:
        """Place no more."""
        self._paused_until = float("inf")

    @property
    def draining(self) -> bool:
        return self._paused_until == float("inf")

    def may_place(self, task: Task) -> bool:
        """Whether the task is one for this engine."""
        return task in self._admission

    @property
    def waiting(self) -> int:
        """Pending tasks that this process knows of; the store may have more."""
        return len(self._backlog)

    async def _place(self, claims: asyncio.TaskGroup) -> None:
        now = self._clock.boottime()
        while now >= self._paused_until and (free := self._workers.slots.free_by_session(now)):
            if self._backlog_is_unknown or now >= self._reread_at:
                await self._look_anew(now)
                continue
            placeable = dict(self._placeable(free))
            if unknown := [waiting for waiting in placeable if not self._is_known(waiting)]:
                await self._learn(unknown)
            elif placeable:
                first = min(placeable, key=Waiting.head)
                sessions = placeable[first]
                session = random.choices(sessions, weights=[free[session] for session in sessions])[0]
                self._place_first(first, session, claims)
            else:
                return

    async def _look_anew(self, now: float) -> None:
        self._reread_at, self._has_looked = now + REREAD_SECONDS, False
        self._permits.begin_reading()
        attempts = await self._tasks.open_attempts()
        self._permits.end_reading(attempts, self._workers.slots.is_claiming)
        await self._backlog.list_queues(self._admission)
        self._has_looked = True

    def _is_known(self, waiting: Waiting) -> bool:
        return self._permits.knows(waiting.owner) and not waiting.ahead.wants_reading

    async def _learn(self, unknown: list[Waiting]) -> None:
        for waiting in unknown:
            await self._permits.learn(waiting.owner)
        await self._backlog.read(self._admission, [one for one in unknown if one.ahead.wants_reading])

    def _placeable(self, free: Iterable[str]) -> Iterator[tuple[Waiting, list[str]]]:
        """Queues that may have a task and a permit for it, each with the sessions that have a slot for it."""
        for placed in self._backlog:
            if sessions := self._sessions(free, placed.placement):
                for waiting in placed.queues.values():
                    if waiting.may_have_tasks and self._permits.may_be_free(waiting.owner):
                        yield waiting, sessions

    def _sessions(self, free: Iterable[str], placement: Placement) -> list[str]:
        """Those of the nodes that may run it."""
        if placement is ANYWHERE:
            return list(free)
        return [session for session in free if placement.allows(self._workers.node(session))]

    def _place_first(self, waiting: Waiting, session: str, claims: asyncio.TaskGroup) -> None:
        task, permits = waiting.ahead.pop(), self._permits.free(waiting.owner)
        assert permits is not None
        if self._workers.slots.is_claiming(AttemptRef(task.id, task.last_number + 1)):
            # The queue was read before that was committed, or it is in doubt.
            self._reread_at = min(self._reread_at, self._clock.boottime() + PAUSE_SECONDS)
            return
        claim = claims.create_task(self._claim(task, *self._claimed(task, session, permits), session))
        self._claims.add(claim)
        claim.add_done_callback(self._claims.discard)

    async def _claim(self, task: Task, claimed: Task, ref: AttemptRef, session: str) -> None:
        try:
            await self._tasks.claim(task, claimed)
        except Conflict:
            self._give_up(ref)
        except Unavailable:
            self._doubt(ref, session)
        else:
            await self._offer(ref, session)

    async def _offer(self, ref: AttemptRef, session: str) -> None:
        self._workers.slots.claimed(ref)
        await faults.point("dispatcher.after_claim")
        if self.draining:
            await self._take_back(ref)
        else:
            self._workers.push(session, Offer(ref))

    async def _take_back(self, ref: AttemptRef) -> None:
        """The drain came while the claim was under way: its agent may have left. If the store is away, the
        next engine gives it back."""

        def decide(task: Task) -> Task | None:
            if task.ref != ref:
                return None
            return let_go(task, "withdrawn: the engine is draining", self._clock.now())

        with suppress(Unavailable, NotFound):
            await self._tasks.change(ref.task_id, decide)

    async def _session_at_once(self, task: Task) -> str | None:
        """The embedded session, if it has a free slot that no waiting task could take, for a task that needs
        no permit."""
        owner = task.project, task.spider
        await self._permits.learn(owner)
        now = self._clock.boottime()
        if self._backlog_is_unknown or now < self._paused_until or self._permits.free(owner) != NO_PERMITS:
            return None
        free = self._workers.slots.free_by_session(now)
        if any(True for _ in self._placeable(free)):
            return None
        sessions = self._sessions(free, task.placement or ANYWHERE)
        return next((session for session in sessions if self._workers.node(session).embedded), None)

    def _claimed(self, task: Task, session: str, permits: Permits) -> tuple[Task, AttemptRef]:
        """The task with a new attempt, whose slot and permits are taken from now on."""
        node = self._workers.node(session)
        claimed = advance(task, Assign(node.id, session, self._clock.now(), *permits))
        ref = AttemptRef(claimed.id, claimed.last_number)
        self._workers.slots.take(session, ref)
        self._permits.take(ref, (task.project, task.spider), permits)
        return advance(claimed, Accept()) if node.embedded else claimed, ref

    @property
    def _backlog_is_unknown(self) -> bool:
        return not self._has_looked or self._reread_at == float("-inf")

    def _doubt(self, ref: AttemptRef, session: str) -> None:
        """A claim may have been committed: its agent is told all the same, and asks until it is answered."""
        self._workers.push(session, Offer(ref))
        self._paused_until = max(self._paused_until, self._clock.boottime() + PAUSE_SECONDS)
        self._reread_at = float("-inf")

    def _give_up(self, ref: AttemptRef) -> None:
        """The queue is not as this process believed."""
        self._reread_at = float("-inf")
        self._workers.slots.free(ref)
        self._permits.give(ref)

    def _notice(self, hint: Hint) -> None:
        if isinstance(hint, Resync):
            self._reread_at = float("-inf")
            self.wake.set()
        elif isinstance(hint, LimitsChanged):
            self.wake.set()
        elif isinstance(hint, TaskChanged) and self.may_place(hint.task):
            self._backlog.notice(hint.task)
            if hint.task.waits or self._frees_permit(hint.task):
                self.wake.set()

    def _frees_permit(self, task: Task) -> bool:
        return task.attempt is None and self._permits.may_be_limited((task.project, task.spider))
