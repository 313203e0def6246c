"""The dispatcher: places pending tasks on free slots, by claim and then offer."""

from __future__ import annotations

import asyncio
import random
from typing import NoReturn

from silkmill.domain.attempt import AttemptRef
from silkmill.domain.errors import Conflict, IllegalTransition, Unavailable
from silkmill.domain.events import Assign
from silkmill.domain.task import Task
from silkmill.master.feed import Feed, Hint, Resync, TaskChanged
from silkmill.master.lookahead import LookAhead
from silkmill.master.tasks import Tasks
from silkmill.master.workers import Workers
from silkmill.ports.clock import Clock
from silkmill.ports.link import Offer
from silkmill.ports.store import Store
from silkmill.runtime import faults
from silkmill.runtime.loop import every

LOOK_SECONDS = 1.0
"""The safety net: normally a committed task or a freed slot wakes the dispatcher."""
REREAD_SECONDS = 5.0
"""The queue is read anew after so long: another process may have changed it."""
PAUSE_SECONDS = 0.5
"""After a claim that the store did not take."""


class Dispatcher:
    """A slot is taken when the claim begins, so that claims for several slots share one commit."""

    def __init__(self, store: Store, tasks: Tasks, workers: Workers, feed: Feed, clock: Clock) -> None:
        self._store, self._tasks, self._workers, self._clock = store, tasks, workers, clock
        self._ahead = LookAhead()
        self._reread_at = self._paused_until = float("-inf")
        self.wake = asyncio.Event()
        feed.watch(self._notice)
        workers.slots.watch(self.wake.set)

    async def run(self) -> NoReturn:
        """Place tasks until cancelled. A slot that frees while claims are under way is used at once."""
        async with asyncio.TaskGroup() as claims:
            await every(LOOK_SECONDS, lambda: self._place(claims), wake=self.wake)

    async def tick(self) -> None:
        """Place what fits now; returns when the claims are done."""
        async with asyncio.TaskGroup() as claims:
            await self._place(claims)

    @property
    def waiting(self) -> int:
        """Pending tasks that this process knows of; the store may have more."""
        return len(self._ahead)

    async def _place(self, claims: asyncio.TaskGroup) -> None:
        now = self._clock.boottime()
        while now >= self._paused_until and (free := self._workers.slots.free_by_session(now)):
            if now >= self._reread_at or self._ahead.exhausted:
                self._reread_at = now + REREAD_SECONDS
                await self._ahead.read(self._store)
                continue
            if not self._ahead:
                return
            session = random.choices(list(free), weights=list(free.values()))[0]
            task = self._ahead.pop()
            ref = AttemptRef(task.id, task.last_number + 1)
            if self._workers.slots.is_claiming(ref):  # the queue was read before that was committed
                continue
            self._workers.slots.take(session, ref)
            assign = Assign(self._workers.node(session).id, session, self._clock.now())
            claims.create_task(self._claim(task, ref, assign))

    async def _claim(self, task: Task, ref: AttemptRef, assign: Assign) -> None:
        try:
            await self._tasks.claim(task, assign)
        except (Conflict, IllegalTransition):
            self._give_up(ref)
        except Unavailable:
            self._paused_until = self._clock.boottime() + PAUSE_SECONDS
            self._give_up(ref)
        else:
            self._workers.slots.claimed(ref)
            await faults.point("dispatcher.after_claim")
            self._workers.push(assign.session, Offer(ref))

    def _give_up(self, ref: AttemptRef) -> None:
        """The queue is not as this process believed."""
        self._reread_at = float("-inf")
        self._workers.slots.free(ref)

    def _notice(self, hint: Hint) -> None:
        if isinstance(hint, Resync):
            self._reread_at = float("-inf")
            self.wake.set()
        elif isinstance(hint, TaskChanged) and self._ahead.notice(hint.task):
            self.wake.set()
