"""Schedules as records: added, changed, switched and removed by hand, or replaced with a version's file."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime

from silkmill.domain.errors import BadInput, Conflict, Duplicate, NotFound
from silkmill.domain.schedule import Origin, Schedule, ScheduleConfig, schedule_key
from silkmill.domain.schedule_check import check_schedule
from silkmill.domain.spider import SpiderConfig
from silkmill.master.versions import Versions
from silkmill.ports.clock import Clock
from silkmill.ports.store import Store, Stored


class Schedules:
    """Whoever writes a schedule decides anew from when on it counts: what has passed until then is done with.

    `watch` names who is told after each change that may have been made."""

    def __init__(self, store: Store, versions: Versions, clock: Clock) -> None:
        self._store, self._versions, self._clock = store, versions, clock
        self._watchers: list[Callable[[], None]] = []

    def watch(self, watcher: Callable[[], None]) -> None:
        self._watchers.append(watcher)

    async def all(self) -> list[Stored[Schedule]]:
        """By project, spider and name."""
        return [stored async for stored in self._below("")]

    async def get(self, key: str) -> Schedule:
        """Raises NotFound."""
        return (await self._stored(key)).value

    async def add(self, project: str, spider: str, config: ScheduleConfig) -> Schedule:
        """A new one, by hand. Raises BadInput, NotFound for its spider, Duplicate."""
        await self._check(project, spider, config)
        return await self._insert(self._new(project, spider, config, Origin.HAND))

    async def put(self, project: str, spider: str, config: ScheduleConfig) -> tuple[Schedule, bool]:
        """The schedule as it is now, and whether it is new. One that is like that already is left as it is.

        Raises BadInput, also for a schedule of a file, and NotFound for its spider."""
        await self._check(project, spider, config)
        return await self._put(self._new(project, spider, config, Origin.HAND), _refuse_file)

    async def switch(self, key: str, *, enabled: bool) -> Schedule:
        """On or off; what passes while it is off never fires. Raises NotFound."""

        def change(old: Schedule) -> Schedule:
            if old.enabled == enabled:
                return old
            return replace(old, enabled=enabled, evaluated_until=self._clock.now())

        return await self._change(key, change)

    async def remove(self, key: str) -> None:
        """Its tasks stay. Raises NotFound, and BadInput for a schedule of a file."""
        _refuse_file(await self.get(key))
        await self._delete(key)

    async def check_file(self, project: str, spider: SpiderConfig) -> None:
        """Whether `follow_file` can be done: before a version is made. Raises BadInput."""
        for config in spider.schedules:
            stored = await self._store.record(Schedule, schedule_key(project, spider.name, config.name))
            if stored is not None:
                _refuse_hand(stored.value)

    async def follow_file(self, project: str, spider: SpiderConfig) -> None:
        """The schedules of a spider's file are from now on those of this version: at a deploy, at a rollback.

        One whose text is unchanged keeps its record: how far it is evaluated, whether it is enabled. Those
        made by hand stay. A repeat is harmless. Raises BadInput as `check_file`."""
        for config in spider.schedules:
            await self._put(self._new(project, spider.name, config, Origin.FILE), _refuse_hand)
        names = {config.name for config in spider.schedules}
        async for stored in self._below(schedule_key(project, spider.name, "")):
            if stored.value.origin is Origin.FILE and stored.value.config.name not in names:
                await self._delete(stored.key)

    async def decided(self, stored: Stored[Schedule], until: datetime) -> Stored[Schedule]:
        """Instants up to `until` have fired or never will. Raises Conflict when it was changed meanwhile."""
        decided = replace(stored.value, evaluated_until=until)
        return await self._store.replace_record(stored, decided, secrets.token_hex(8))

    async def _check(self, project: str, spider: str, config: ScheduleConfig) -> None:
        version = (await self._versions.spider(project, spider)).version
        check_schedule(config, await self._versions.config(project, spider, version))

    def _new(self, project: str, spider: str, config: ScheduleConfig, origin: Origin) -> Schedule:
        return Schedule(project, spider, config, origin, config.enabled, self._clock.now())

    async def _put(self, new: Schedule, check: Callable[[Schedule], None]) -> tuple[Schedule, bool]:
        """`check` raises for a stored one that may not be replaced."""

        def change(old: Schedule) -> Schedule:
            check(old)
            return old if _says_the_same(old, new) else new

        while True:
            try:
                return await self._insert(new), True
            except Duplicate:
                with suppress(NotFound):  # removed meanwhile
                    return await self._change(new.key, change), False

    async def _insert(self, new: Schedule) -> Schedule:
        with self._telling():
            await self._store.insert_record(new.key, new)
        return new

    async def _change(self, key: str, change: Callable[[Schedule], Schedule]) -> Schedule:
        while True:
            stored = await self._stored(key)
            changed = change(stored.value)
            if changed == stored.value:
                return changed
            with suppress(Conflict), self._telling():
                return (await self._store.replace_record(stored, changed, secrets.token_hex(8))).value

    async def _delete(self, key: str) -> None:
        while (stored := await self._store.record(Schedule, key)) is not None:
            with suppress(Conflict), self._telling():
                await self._store.delete_record(stored)

    async def _stored(self, key: str) -> Stored[Schedule]:
        stored = await self._store.record(Schedule, key)
        if stored is None:
            raise NotFound("schedule", key, remedy="`silkmill schedules list` lists them")
        return stored

    async def _below(self, prefix: str) -> AsyncIterator[Stored[Schedule]]:
        after = prefix
        while page := await self._store.records(Schedule, after=after):
            for stored in page:
                if not stored.key.startswith(prefix):
                    return
                yield stored
            after = page[-1].key

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Around a write, which may have been made even if it raises."""
        try:
            yield
        finally:
            for watcher in self._watchers:
                watcher()


def _says_the_same(old: Schedule, new: Schedule) -> bool:
    """Unlike a file, which knows nothing of switches, who writes one by hand says whether it is enabled."""
    switched = new.origin is Origin.HAND and old.enabled != new.enabled
    return (old.config, old.origin) == (new.config, new.origin) and not switched


def _refuse_file(schedule: Schedule) -> None:
    if schedule.origin is Origin.FILE:
        raise BadInput(
            f"schedule {schedule.key} is one of a spider.toml",
            field="name",
            remedy="change the file and deploy it, or disable the schedule",
        )


def _refuse_hand(schedule: Schedule) -> None:
    if schedule.origin is Origin.HAND:
        raise BadInput(
            f"schedules: {schedule.config.name!r} exists already, made by hand",
            field="schedules",
            remedy=f"choose another name, or `silkmill schedules remove {schedule.key}`",
        )
