"""Retention: deletes what the policy does not keep, some of it at a time, what can be reached last.

A task first says in its record what it loses, so that nobody looks for it; then that goes from store and
bucket; the record itself goes at the very end. After a crash the record says where to go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

import structlog

from silkmill.domain.errors import Conflict, NotFound
from silkmill.domain.fields import with_fields
from silkmill.domain.retention import Policy, Surplus, after_losses, log_bytes, loses_itself, surplus_of
from silkmill.domain.task import Expiry, Task
from silkmill.master.belongings import Belonging, Steps
from silkmill.master.logs.cap import Change
from silkmill.master.version_retention import VersionRetention
from silkmill.ports.clock import Clock
from silkmill.ports.store import Store, TaskFilter

TICK_SECONDS = 2.0
PASS_SECONDS = 600.0
"""From the end of a pass over all tasks to the beginning of the next one."""
TASKS_AT_ONCE = 200
STEPS_AT_ONCE = 200
ALL = TaskFilter()

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Pass:
    """How far the tasks were looked at, oldest first. `log_bytes`: of the logs of ended tasks that stay;
    `versions`: of the tasks that stay."""

    surplus: Surplus
    cursor: str | None = None
    log_bytes: int = 0
    versions: set[str] = field(default_factory=set)
    deleted: int = 0
    looked_at: Task | None = None
    """As it was at first: what takes several ticks frees what it had before them."""

    def look_at(self, task: Task) -> None:
        if self.looked_at is None or self.looked_at.id != task.id:
            self.looked_at = task

    def go_on(self) -> None:
        assert self.looked_at is not None
        self.surplus, self.cursor = self.surplus.past(self.looked_at), self.looked_at.id


class Retention:
    """One master at a time runs it where a number of tasks or of bytes is kept: two would each delete what is
    too much. For the rest any number may: every step is a conditional write, or may be repeated."""

    def __init__(
        self,
        store: Store,
        change: Change,
        logs: Belonging,
        items: Belonging,
        others: Sequence[Belonging],
        versions: VersionRetention,
        policy: Policy,
        clock: Clock,
    ) -> None:
        """`others`: what else is kept with a task and goes with it."""
        self._store, self._change, self._policy, self._clock = store, change, policy, clock
        self._logs, self._items, self._others = logs, items, others
        self._versions = versions
        self._pass: _Pass | None = None
        self._next_pass_at = clock.boottime()
        self._log_bytes = 0
        """Of the last pass: by them the next one knows what is too much."""

    async def tick(self) -> None:
        """Look at some tasks, and delete as much as some writes do. Raises Unavailable; a repeat goes on."""
        if self._policy.keeps_everything or self._clock.boottime() < self._next_pass_at:
            return
        run = self._pass = self._pass or await self._begin()
        steps = Steps(STEPS_AT_ONCE)
        tasks = await self._store.tasks(ALL, newest_first=False, before=run.cursor, limit=TASKS_AT_ONCE)
        for task in tasks:
            run.look_at(task)
            if not await self._is_done_with(task, run, steps):
                return
            run.go_on()
        if len(tasks) < TASKS_AT_ONCE:
            await self._versions.sweep(run.versions)
            self._end(run)

    async def _begin(self) -> _Pass:
        counts = await self._store.count_tasks()
        ended = sum(count for state, count in counts.items() if state.final)
        return _Pass(surplus_of(self._policy, ended, self._log_bytes))

    def _end(self, run: _Pass) -> None:
        self._pass, self._log_bytes = None, run.log_bytes
        self._next_pass_at = self._clock.boottime() + PASS_SECONDS
        if run.deleted:
            _log.info("retention deleted tasks", tasks=run.deleted)

    async def _is_done_with(self, task: Task, run: _Pass, steps: Steps) -> bool:
        """Unless the steps were not enough: then the next tick goes on with this task."""
        now = self._clock.now()
        try:
            if loses_itself(task, now, self._policy, run.surplus):
                return await self._delete(task, now, run, steps)
            run.versions.add(task.version)
            expiry = after_losses(task, now, self._policy, run.surplus)
            marked = await self._mark(task, expiry)
            if not await self._erase(marked, steps):
                return False
            if task.state.final:
                run.log_bytes += log_bytes(marked)
        except (Conflict, NotFound):  # another master, or the upkeep of its log; the next pass looks again
            run.versions.add(task.version)
            _log.debug("a task changed while retention looked at it", task=task.id)
        return True

    async def _delete(self, task: Task, now: datetime, run: _Pass, steps: Steps) -> bool:
        marked = await self._mark(task, task.expiry.with_more(now, logs=True, items=True))
        if not await self._erase(marked, steps):
            return False
        for belonging in self._others:
            if not await belonging.erase(task, steps):
                return False
        await self._store.delete_task(await self._mark(marked, replace(marked.expiry, erased=True)))
        run.deleted += 1
        return True

    async def _erase(self, task: Task, steps: Steps) -> bool:
        """What the record says is lost, where that is not done yet."""
        expiry = task.expiry
        if expiry.erased:
            return True
        if expiry.logs_at is not None and not await self._logs.erase(task, steps):
            return False
        if expiry.items_at is not None and not await self._items.erase(task, steps):
            return False
        await self._mark(task, replace(expiry, erased=True))
        return True

    async def _mark(self, task: Task, expiry: Expiry) -> Task:
        """The record with this expiry; changes no state. Raises NotFound."""
        return task if task.expiry == expiry else await self._change(task.id, partial(_with_expiry, expiry))


def _with_expiry(expiry: Expiry, task: Task) -> Task | None:
    return None if task.expiry == expiry else with_fields(task, expiry=expiry)
