"""Firings: makes the task of an instant, and releases the tasks that waited for an earlier firing."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from datetime import datetime
from typing import NoReturn

from silkmill.domain.errors import BadInput, NoNode, NotFound, Unavailable
from silkmill.domain.events import Fail
from silkmill.domain.fields import with_fields
from silkmill.domain.firing import behind, firing_name, released
from silkmill.domain.ids import order_of, uuid7
from silkmill.domain.outcome import ErrorClass, Verdict
from silkmill.domain.schedule import Overlap, Schedule
from silkmill.domain.task import Task, advance
from silkmill.master.cancel import Canceller
from silkmill.master.feed import Feed, Hint, TaskChanged
from silkmill.master.submission import Submission, SubmissionCheck, task_of
from silkmill.master.tasks import Tasks
from silkmill.ports.clock import Clock
from silkmill.ports.store import Store
from silkmill.runtime.loop import every

TICK_SECONDS = 1.0
"""The safety net: normally the feed tells of the end that a task waits for."""
MOST_REPLACED = 1000
"""Where firings were queued or allowed beside each other before, one that replaces ends them all."""


class Firings:
    """Every step may be repeated after a crash: a firing that has its task gets no second one."""

    def __init__(
        self,
        store: Store,
        tasks: Tasks,
        check: SubmissionCheck,
        canceller: Canceller,
        feed: Feed,
        clock: Clock,
    ) -> None:
        self._store, self._tasks, self._check = store, tasks, check
        self._canceller, self._clock = canceller, clock
        self._last_order = 0
        self.wake = asyncio.Event()
        feed.watch(self._notice)

    async def run(self) -> NoReturn:
        """Release what waits, until cancelled."""
        await every(TICK_SECONDS, self.tick, wake=self.wake)

    async def fire(self, schedule: Schedule, instant: datetime) -> Task:
        """The task of this instant, new or as it is. Raises Unavailable."""
        task = await self._make(schedule, firing_name(schedule.key, instant))
        if task.waits_after:
            if schedule.config.overlap is Overlap.REPLACE:
                await self._cancel_earlier(task)
            self.wake.set()  # the end of its predecessor may have been told before it was stored
        return task

    async def tick(self) -> None:
        """created → pending for those whose predecessor has ended or is gone. Raises Unavailable."""
        waiting = await self._store.waiting_after()
        held = {task_id for task_id, _ in waiting}
        for task_id, after in waiting:
            if after not in held:  # what waits itself has not ended
                await self._release(task_id, after)

    async def _release(self, task_id: str, after: str) -> None:
        predecessor = await self._store.task(after)
        task = await self._store.task(task_id)
        if task is None:
            return
        if predecessor is not None and not predecessor.state.final:
            await self._replace(task)
            return
        earlier = await self._earlier(task)
        with suppress(NotFound):
            await self._tasks.change(task_id, lambda latest: released(latest, earlier))

    async def _replace(self, task: Task) -> None:
        """Again: a crash may have been between the task and the wish that its predecessors end."""
        schedule = await self._store.record(Schedule, task.schedule or "")
        if schedule is not None and schedule.value.config.overlap is Overlap.REPLACE:
            await self._cancel_earlier(task)

    async def _make(self, schedule: Schedule, name: str) -> Task:
        task = with_fields(await self._task(schedule), schedule=schedule.key, firing=name)
        if not task.state.final:
            task = behind(task, schedule.config.overlap, await self._earlier(task), task.created_at)
        return await self._tasks.insert_firing(task)

    async def _task(self, schedule: Schedule) -> Task:
        """As if somebody submitted it now. What cannot be submitted is recorded as failed."""
        now = self._clock.now()
        task_id, order = uuid7(now, secrets.token_bytes(10)), self._next_order(now)
        submission = Submission(schedule.project, schedule.spider, params=schedule.config.params)
        try:
            return task_of(await self._check.ready(submission), task_id, now, order)
        except (BadInput, NotFound) as refusal:
            if isinstance(refusal, NoNode) and not self._check.knows_a_node:
                raise Unavailable("link", "no node is connected yet") from None
            verdict = Verdict("never_started", str(refusal), ErrorClass.SYSTEM, permanent=True)
            return advance(task_of(submission, task_id, now, order), Fail(verdict, now))

    def _next_order(self, now: datetime) -> int:
        """Firings that are made in one millisecond keep their order too."""
        self._last_order = max(self._last_order + 1, order_of(now))
        return self._last_order

    async def _cancel_earlier(self, task: Task) -> None:
        for earlier in await self._open_before(task, limit=MOST_REPLACED):
            if not earlier.cancel_requested:
                with suppress(NotFound):
                    await self._canceller.request(earlier.id, reason=f"replaced by task {task.id}")

    async def _earlier(self, task: Task) -> Task | None:
        """The newest firing before this one that has not ended."""
        return next(iter(await self._open_before(task, limit=1)), None)

    async def _open_before(self, task: Task, limit: int) -> list[Task]:
        return await self._store.firings(task.schedule or "", before=task.firing, open_only=True, limit=limit)

    def _notice(self, hint: Hint) -> None:
        if isinstance(hint, TaskChanged) and hint.task.firing and hint.task.state.final:
            self.wake.set()
