"""The dispatcher: places pending tasks on free slots, by claim and then offer."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import NoReturn

from silkmill.domain.attempt import AttemptRef
from silkmill.domain.errors import Conflict, NotFound, Unavailable
from silkmill.domain.events import Accept, Assign
from silkmill.domain.task import Task, advance
from silkmill.master.admission import Admission
from silkmill.master.ending import let_go
from silkmill.master.feed import Feed, Hint, Resync, TaskChanged
from silkmill.master.lookahead import LookAhead
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
    """A slot is taken when the claim begins, so that claims for several slots share one commit.

    The embedded agent lives and dies with its master and cannot miss an offer: for it ASSIGN and ACCEPT are
    one write, and a new task that need not wait is stored as claimed."""

    def __init__(
        self, admission: Admission, tasks: Tasks, workers: Workers, feed: Feed, clock: Clock
    ) -> None:
        self._admission, self._tasks, self._workers, self._clock = admission, tasks, workers, clock
        self._ahead = LookAhead()
        self._reread_at = self._paused_until = float("-inf")
        self._claims: set[asyncio.Task[None]] = set()
        self.wake = asyncio.Event()
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
        session = self._session_at_once()
        if session is None:
            await self._tasks.insert([task])
            return task
        claimed, ref = self._claimed(task, session)
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
        return len(self._ahead)

    async def _place(self, claims: asyncio.TaskGroup) -> None:
        now = self._clock.boottime()
        while now >= self._paused_until and (free := self._workers.slots.free_by_session(now)):
            if self._queue_is_unknown or self._ahead.exhausted or now >= self._reread_at:
                self._reread_at = now + REREAD_SECONDS
                await self._ahead.read(self._admission)
                continue
            if not self._ahead:
                return
            session = random.choices(list(free), weights=list(free.values()))[0]
            task = self._ahead.pop()
            if self._workers.slots.is_claiming(AttemptRef(task.id, task.last_number + 1)):
                # The queue was read before that was committed, or it is in doubt.
                self._reread_at = min(self._reread_at, now + PAUSE_SECONDS)
                continue
            claim = claims.create_task(self._claim(task, *self._claimed(task, session), session))
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

    def _session_at_once(self) -> str | None:
        """The embedded session, if it has a free slot that no waiting task could take."""
        now = self._clock.boottime()
        if self._queue_is_unknown or self._ahead or self._ahead.exhausted or now < self._paused_until:
            return None
        free = self._workers.slots.free_by_session(now)
        return next((session for session in free if self._workers.node(session).embedded), None)

    def _claimed(self, task: Task, session: str) -> tuple[Task, AttemptRef]:
        """The task with a new attempt, whose slot is taken from now on."""
        node = self._workers.node(session)
        claimed = advance(task, Assign(node.id, session, self._clock.now()))
        ref = AttemptRef(claimed.id, claimed.last_number)
        self._workers.slots.take(session, ref)
        return advance(claimed, Accept()) if node.embedded else claimed, ref

    @property
    def _queue_is_unknown(self) -> bool:
        return self._reread_at == float("-inf") or self._ahead.is_unread

    def _doubt(self, ref: AttemptRef, session: str) -> None:
        """A claim may have been committed: its agent is told all the same, and asks until it is answered."""
        self._workers.push(session, Offer(ref))
        self._paused_until = max(self._paused_until, self._clock.boottime() + PAUSE_SECONDS)
        self._reread_at = float("-inf")

    def _give_up(self, ref: AttemptRef) -> None:
        """The queue is not as this process believed."""
        self._reread_at = float("-inf")
        self._workers.slots.free(ref)

    def _notice(self, hint: Hint) -> None:
        if isinstance(hint, Resync):
            self._reread_at = float("-inf")
            self.wake.set()
        elif isinstance(hint, TaskChanged) and self.may_place(hint.task) and self._ahead.notice(hint.task):
            self.wake.set()
