"""Recovery: gives every task that stands still its next step, when the deadline of its state has passed."""

from __future__ import annotations

import random
from collections.abc import Iterable
from functools import partial

from silkmill.domain.attempt import AttemptRef
from silkmill.domain.events import Release
from silkmill.domain.spider import SpiderConfig
from silkmill.domain.states import Phase, State
from silkmill.domain.task import Task, advance
from silkmill.master import deadlines
from silkmill.master.groups import Groups
from silkmill.master.outages import Outages
from silkmill.master.preparations import Preparations
from silkmill.master.tasks import Tasks
from silkmill.master.versions import Versions
from silkmill.master.workers import Workers
from silkmill.ports.clock import Clock
from silkmill.ports.store import Store
from silkmill.runtime.loop import side_by_side

TICK_SECONDS = 1.0
BLIND_SECONDS = 5.0
"""After a longer gap between two looks (a pause of ours, a store that was away) all clocks begin anew."""
RELEASED_AT_ONCE = 500


class Watch:
    """Since when, by the BOOTTIME of this process, things have stood as they stand now."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[object, float]] = {}

    def seconds(self, key: str, stand: object, boottime: float) -> float:
        seen = self._seen.get(key)
        if seen is None or seen[0] != stand:
            self._seen[key] = seen = stand, boottime
        return boottime - seen[1]

    def keep_only(self, keys: Iterable[str]) -> None:
        kept = set(keys)
        self._seen = {key: seen for key, seen in self._seen.items() if key in kept}


class Recovery:
    """One tick a second. Every step is an event and a swap like any other; a tick that fails is repeated."""

    def __init__(
        self,
        store: Store,
        tasks: Tasks,
        workers: Workers,
        versions: Versions,
        groups: Groups,
        outages: Outages,
        preparations: Preparations,
        clock: Clock,
    ) -> None:
        self._store, self._tasks, self._workers = store, tasks, workers
        self._versions, self._groups, self._outages, self._clock = versions, groups, outages, clock
        self._preparations = preparations
        self._stands, self._orphans = Watch(), Watch()
        self._looked_at = float("-inf")

    async def tick(self) -> None:
        """Raises Unavailable."""
        await self._tasks.tell_of_doubt()
        await self._release_due()
        await self._look_at_attempts()
        if self._groups.may_be_cut_short:
            await self._groups.finish()

    async def _release_due(self) -> None:
        """created → pending, for those whose time has come."""
        due = await self._store.due_created(self._clock.now(), RELEASED_AT_ONCE)
        await side_by_side(self._tasks.change(task.id, self._released) for task in due)

    def _released(self, task: Task) -> Task | None:
        due = task.state is State.CREATED and task.next_attempt_at
        return advance(task, Release()) if due and due <= self._clock.now() else None

    async def _look_at_attempts(self) -> None:
        boottime = self._clock.boottime()
        if boottime - self._looked_at > BLIND_SECONDS:
            self._stands, self._orphans = Watch(), Watch()
        present = await self._workers.present_sessions()
        holding = self._workers.slots.held()
        attempts = await self._store.open_attempts()
        self._free_slots_of_closed(holding, attempts)
        self._looked_at = boottime
        self._stands.keep_only(task.id for task in attempts)
        self._orphans.keep_only(task.id for task in attempts)
        self._preparations.keep_only(task.ref for task in attempts if task.ref)
        await side_by_side(self._look_at(task, present, boottime) for task in attempts)

    def _free_slots_of_closed(self, holding: dict[AttemptRef, str], attempts: list[Task]) -> None:
        """Normally the commit that closes an attempt frees its slot; of some commits the answer is lost."""
        present = {(task.ref, task.attempt.session) for task in attempts if task.attempt}
        for ref, session in holding.items():
            if (ref, session) not in present:
                self._workers.slots.free(ref)

    async def _look_at(self, task: Task, present: dict[str, str], boottime: float) -> None:
        stand = deadlines.stand_of(task)
        stood = self._stands.seconds(task.id, stand, boottime)
        orphan = task.attempt is not None and deadlines.is_orphan(task.attempt, present)
        orphaned = self._orphans.seconds(task.id, (task.last_number, orphan), boottime)
        config = await self._versions.config_of(task)
        decide = partial(self._overdue, stood=stood, orphan=orphan, orphaned=orphaned, config=config)
        if decide(task) is not None:
            # What has happened since it was read begins a new stand.
            await self._tasks.change(
                task.id, lambda latest: decide(latest) if deadlines.stand_of(latest) == stand else None
            )

    def _overdue(
        self, task: Task, stood: float, orphan: bool, orphaned: float, config: SpiderConfig
    ) -> Task | None:
        now = self._clock.now()
        if task.attempt is None:
            return None
        if task.attempt.phase is Phase.OFFERED:
            return deadlines.overdue_offer(task, stood, orphan, now)
        if task.state is State.ABNORMAL:
            return deadlines.overdue_abnormal(task, stood, now)
        if orphan:
            return deadlines.overdue_orphan(task, task.attempt, orphaned, now)
        stood = min(stood, self._outages.seconds_since())
        if task.attempt.phase is Phase.PREPARING:
            ref = AttemptRef(task.id, task.attempt.number)
            stood = min(stood, self._preparations.seconds_since_away(ref))
            return deadlines.overdue_preparation(task, stood, config, now, random.random())
        if task.attempt.phase is Phase.COMPLETING:
            return deadlines.overdue_completing(task, stood)
        return None
