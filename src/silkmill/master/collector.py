"""The collector: takes what an attempt's agent reports, behind the fence, and draws the outcome from it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Protocol, TypeGuard

from silkmill.domain.attempt import AttemptRef
from silkmill.domain.errors import Incomplete, NotFound, SilkmillError, StaleAttempt, StaleSession
from silkmill.domain.events import Accept, Exit, Start
from silkmill.domain.outcome import Facts
from silkmill.domain.spider import SpiderConfig, render_command, resolve_params
from silkmill.domain.states import Phase, State
from silkmill.domain.task import Task, advance, check_writer
from silkmill.domain.version import Version
from silkmill.master.ending import ending, let_go, lost, shows_end
from silkmill.master.feed import Feed, ItemsGrew, LogGrew
from silkmill.master.outages import Outages
from silkmill.master.preparations import Preparations
from silkmill.master.slots import Slots
from silkmill.master.statistics import LiveStatistics
from silkmill.master.tasks import Decide, Tasks
from silkmill.master.versions import Versions
from silkmill.master.workers import cancel_order
from silkmill.ports.clock import Clock
from silkmill.ports.link import CancelOrder, Report, WorkOrder
from silkmill.ports.store import Store


class LogAppender(Protocol):
    """The log store's writing end."""

    async def append(
        self, task: Task, ref: AttemptRef, session: str, offset: int, data: bytes, *, log_cap: int = 0
    ) -> int:
        """Store log bytes at `offset`, then move the position; answers with the stored log offset."""


class Collector:
    """Every call names the attempt and the session; the fence refuses those that are not the present ones.

    A repeat whose effect the record shows is a success. All raise StaleAttempt, StaleSession, Unavailable."""

    def __init__(
        self,
        store: Store,
        tasks: Tasks,
        versions: Versions,
        slots: Slots,
        logs: LogAppender,
        feed: Feed,
        outages: Outages,
        statistics: LiveStatistics,
        preparations: Preparations,
        clock: Clock,
    ) -> None:
        self._store, self._tasks, self._versions, self._slots = store, tasks, versions, slots
        self._logs, self._feed, self._outages, self._clock = logs, feed, outages, clock
        self._statistics = statistics
        self._preparations = preparations

    async def accept(self, session: str, ref: AttemptRef) -> WorkOrder:
        """The offer is taken; nothing may be started before this is answered."""

        def decide(task: Task) -> Task | None:
            check_writer(task, ref, session)
            return None if task.row[1] is not Phase.OFFERED else advance(task, Accept())

        task = await self._tasks.opened(ref)
        if not _is_accepted(task, ref, session):
            try:
                task = await self._change(ref, decide)
            except StaleAttempt:  # a claim that was in doubt has not been made, or was withdrawn
                self._slots.free(ref)
                raise
        self._slots.claimed(ref)
        version = await self._versions.get(task.version)
        return _work_order(task, ref, version, await self._versions.config_of(task))

    async def refuse(self, session: str, ref: AttemptRef, reason: str) -> None:
        """The agent has no free slot: the offer is withdrawn at once."""

        def decide(task: Task) -> Task | None:
            if task.ref != ref:
                return None
            check_writer(task, ref, session)
            return let_go(task, f"withdrawn: {reason}", self._clock.now())

        self._slots.refuse(ref, self._clock.boottime())
        await self._change(ref, decide)

    async def preparing(self, session: str, ref: AttemptRef, doing: str, *, away: bool) -> None:
        """A hint, committed nowhere."""
        check_writer(await self._tasks.opened(ref), ref, session)
        self._preparations.told(ref, doing, away=away)

    async def start(self, session: str, ref: AttemptRef, pid: int, at: datetime) -> CancelOrder | None:
        """The spider's process runs."""

        def decide(task: Task) -> Task | None:
            check_writer(task, ref, session)
            return None if task.row[1] in _STARTED else advance(task, Start(pid, at))

        return cancel_order(await self._change(ref, decide))

    async def slot_free(self, session: str, ref: AttemptRef) -> None:
        """A hint, committed nowhere: the attempt's runner can take another task."""
        self._slots.free(ref)

    async def exit(self, session: str, ref: AttemptRef) -> None:
        """The process tree is gone; its streams are still on the way."""

        def decide(task: Task) -> Task | None:
            check_writer(task, ref, session)
            return None if task.row[1] is Phase.COMPLETING else advance(task, Exit())

        await self._change(ref, decide)

    async def append_log(self, session: str, ref: AttemptRef, offset: int, data: bytes) -> int:
        """Answers with the stored log offset. Raises OffsetMismatch."""
        task = await self._writer(session, ref)
        log_cap = (await self._versions.config_of(task)).limits.log_bytes
        with self._outages.noted():
            stored = await self._logs.append(task, ref, session, offset, data, log_cap=log_cap)
        self._tasks.moved(ref, log_offset=stored)
        self._feed.publish(LogGrew(ref, stored))
        return stored

    async def append_items(
        self, session: str, ref: AttemptRef, offset: int, first_ordinal: int, records: Sequence[bytes]
    ) -> int:
        """Answers with the stored items offset. Raises OffsetMismatch."""
        with self._outages.noted():
            stored = await self._store.append_items(ref, session, offset, first_ordinal, records)
        self._tasks.moved(ref, items_offset=stored.items_offset, items_count=stored.items_count)
        self._feed.publish(ItemsGrew(ref, stored.items_count))
        return stored.items_offset

    async def statistics(self, session: str, reports: Sequence[Report]) -> None:
        """Kept in memory. Nobody waits for them, so a refusal is not told: other calls of a stale attempt
        are."""
        for report in reports:
            with suppress(StaleAttempt, StaleSession):
                self._statistics.report(await self._writer(session, report.ref), report)

    async def finish(self, session: str, ref: AttemptRef, facts: Facts) -> None:
        """The end. Raises Incomplete while bytes or items are on the way."""
        task = await self._tasks.opened(ref)
        if task is None:
            raise StaleAttempt(ref.task_id, ref.number)
        config = await self._versions.config_of(task)

        def lose(task: Task) -> Task | None:
            if shows_end(task, ref, facts, config):
                return None
            check_writer(task, ref, session)
            _check_complete(task, facts)
            return lost(task, facts, self._clock.now())

        def end(task: Task) -> Task | None:
            if shows_end(task, ref, facts, config):
                return None
            if not (was_lost and task.ref == ref and task.state is State.ABNORMAL):
                check_writer(task, ref, session)
            _check_complete(task, facts)
            return ending(task, facts, config, self._clock.now(), random.random())

        if was_lost := facts.lost or facts.lost_with_worker:
            await self._change(ref, lose)
        await self._change(ref, end)
        self._statistics.told_last(ref, facts.status)

    async def give_back(self, session: str, ref: AttemptRef, reason: str) -> None:
        """The agent lets go of an attempt that does not run any more; it counts for nothing."""

        def decide(task: Task) -> Task | None:
            check_writer(task, ref, session)
            return let_go(task, reason, self._clock.now())

        await self._change(ref, decide)

    async def _change(self, ref: AttemptRef, decide: Decide) -> Task:
        try:
            with self._outages.noted():
                return await self._tasks.change(ref.task_id, decide)
        except NotFound:
            raise StaleAttempt(ref.task_id, ref.number) from None

    async def _writer(self, session: str, ref: AttemptRef) -> Task:
        try:
            return check_writer(await self._tasks.opened(ref), ref, session)
        except SilkmillError:
            return check_writer(await self._tasks.reread(ref.task_id), ref, session)


def _is_accepted(task: Task | None, ref: AttemptRef, session: str) -> TypeGuard[Task]:
    """By the claim itself, which this process has just committed: see the dispatcher."""
    return (
        task is not None
        and task.ref == ref
        and task.row == (State.PENDING, Phase.PREPARING)
        and task.attempt is not None
        and task.attempt.session == session
    )


_STARTED = frozenset({Phase.EXECUTING, Phase.COMPLETING})


def _check_complete(task: Task, facts: Facts) -> None:
    stored = task.positions
    if (
        stored.log_offset < facts.log_size
        or stored.items_offset < facts.items_size
        or stored.items_count < facts.items_count
    ):
        raise Incomplete(task.id, task.last_number)


def _work_order(task: Task, ref: AttemptRef, version: Version, config: SpiderConfig) -> WorkOrder:
    params = resolve_params(config, task.params)
    return WorkOrder(
        ref=ref,
        project=task.project,
        spider=task.spider,
        version=version.id,
        config=config,
        files=version.files,
        argv=render_command(config, params, task.settings),
        params=params,
        env=config.env | task.env,
        cancel=cancel_order(task),
    )
