"""Listings: a task of its own asks Scrapy which spiders a version has, in the project's environment."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from dataclasses import replace

import msgspec

from silkmill.domain.attempt import AttemptRef
from silkmill.domain.errors import BadInput, Conflict, Duplicate, Unavailable
from silkmill.domain.scrapy import LISTER
from silkmill.domain.spider import check_name
from silkmill.domain.states import State
from silkmill.domain.task import Task
from silkmill.domain.version import Listing, Version
from silkmill.master.feed import Feed, Hint, Resync, TaskChanged
from silkmill.master.intake import Intake
from silkmill.master.records import every_record
from silkmill.master.submission import Submission
from silkmill.ports.clock import Clock
from silkmill.ports.store import Store

ITEMS_PER_READ = 1000


class Found(msgspec.Struct, frozen=True):
    """An item of the lister: the name of a spider here, and that in Scrapy."""

    name: str
    crawl: str


_found = msgspec.json.Decoder(Found)


class Listings:
    """A record names the task of a version whose spiders are unknown; a crash before it costs another."""

    def __init__(self, store: Store, intake: Intake, feed: Feed, clock: Clock) -> None:
        self._store, self._intake, self._clock = store, intake, clock
        self._changed: dict[str, Task] = {}
        self._may_have_missed = True
        """Some task has ended, and nobody has told: at first, for it may have been in an engine before."""
        self.wake = asyncio.Event()
        feed.watch(self._notice)

    async def task_of(self, version: Version) -> Task:
        """The task that lists its spiders, a new one if there is none or the last one failed.

        Raises BadInput, EngineLeaves, Unavailable."""
        stored = await self._store.record(Listing, version.id)
        task = await self._store.task(stored.value.task) if stored else None
        if task is None or (task.state.final and task.state is not State.FINISHED):
            task = await self._intake.submit(Submission(version.project, LISTER, version=version.id))
        listing = Listing(version.id, task.id, self._clock.now())
        if stored is None or stored.value != listing:
            await self._write(listing)
        return task

    async def found(self, task: Task) -> dict[str, str]:
        """What a finished one has found: names, each with the one in Scrapy. Raises BadInput, Unavailable."""
        accepted = next(closed for closed in reversed(task.history) if closed.accepted)
        ref, count = AttemptRef(task.id, accepted.number), accepted.items_count
        names: dict[str, str] = {}
        for first in range(0, count, ITEMS_PER_READ):
            for _, raw in await self._store.items(ref, first=first, limit=min(ITEMS_PER_READ, count - first)):
                found = _read(task, raw)
                names[check_name(found.name, "name")] = found.crawl
        return names

    async def changed(self) -> list[Task]:
        """Those that have finished, or are repeated, and are not `done`. Raises Unavailable."""
        if self._may_have_missed:
            self._may_have_missed = False
            try:
                async for stored in every_record(self._store, Listing):
                    task = await self._store.task(stored.value.task)
                    if task is not None and task.state is State.FINISHED and not stored.value.refused:
                        self._changed[task.id] = task
            except Unavailable:
                self._may_have_missed = True
                raise
        return list(self._changed.values())

    def done(self, task: Task) -> None:
        """Nothing is left to do for it as it was."""
        if self._changed.get(task.id) is task:
            del self._changed[task.id]

    async def followed(self, task: Task) -> Listing | None:
        """The record of its version, which names this task from now on; None: its spiders are known."""
        stored = await self._store.record(Listing, task.version)
        if stored is None:
            return None
        if stored.value.task != task.id:  # somebody repeats one that failed
            await self._write(replace(stored.value, task=task.id, refused=False))
        return replace(stored.value, task=task.id)

    async def refuse(self, listing: Listing) -> None:
        """It is not tried again by itself."""
        await self._write(replace(listing, refused=True))

    async def forget(self, version_id: str) -> None:
        """Its spiders are known."""
        stored = await self._store.record(Listing, version_id)
        if stored is not None:
            with suppress(Conflict):
                await self._store.delete_record(stored)

    async def _write(self, listing: Listing) -> None:
        while True:
            stored = await self._store.record(Listing, listing.version)
            try:
                if stored is None:
                    await self._store.insert_record(listing.version, listing)
                else:
                    await self._store.replace_record(stored, listing, secrets.token_hex(8))
                return
            except (Conflict, Duplicate):
                continue

    def _notice(self, hint: Hint) -> None:
        if isinstance(hint, Resync):
            self._may_have_missed = True
            self.wake.set()
        elif isinstance(hint, TaskChanged) and _tells_something(hint.task):
            self._changed[hint.task.id] = hint.task
            self.wake.set()


def _tells_something(task: Task) -> bool:
    """A lister that has found something, or that repeats one that failed."""
    return task.spider == LISTER and (task.state is State.FINISHED or task.retry_of is not None)


def _read(task: Task, raw: bytes) -> Found:
    try:
        return _found.decode(raw)
    except msgspec.MsgspecError as error:
        raise BadInput(
            f"task {task.id} saved an item that names no spider: {error}",
            field="files",
            remedy="let the modules of the project's spiders save no items when they are imported",
        ) from None
