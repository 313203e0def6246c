"""Listings: a task of its own asks Scrapy which spiders a version has, in the project's environment."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress

import msgspec

from silkmill.domain.attempt import AttemptRef
from silkmill.domain.errors import BadInput, Conflict, Duplicate
from silkmill.domain.scrapy import LISTER
from silkmill.domain.spider import check_name
from silkmill.domain.states import State
from silkmill.domain.task import Task
from silkmill.domain.version import Listing, Version
from silkmill.master.feed import Feed, Hint, TaskChanged
from silkmill.master.intake import Intake
from silkmill.master.records import every_record
from silkmill.master.submission import Submission
from silkmill.ports.store import Store

ITEMS_PER_READ = 1000


class Found(msgspec.Struct, frozen=True):
    """An item of the lister: the name of a spider here, and that in Scrapy."""

    name: str
    crawl: str


_found = msgspec.json.Decoder(Found)


class Listings:
    """A record names the task of a version whose spiders are unknown; a crash before it costs another."""

    def __init__(self, store: Store, intake: Intake, feed: Feed) -> None:
        self._store, self._intake = store, intake
        self._ended: dict[str, Task] = {}
        self._looked = False
        self.wake = asyncio.Event()
        feed.watch(self._notice)

    async def task_of(self, version: Version) -> Task:
        """The task that lists its spiders, a new one if there is none or the last one failed.

        Raises BadInput, EngineLeaves, Unavailable."""
        stored = await self._store.record(Listing, version.id)
        task = await self._store.task(stored.value.task) if stored else None
        if task is not None and (task.state is State.FINISHED or not task.state.final):
            return task
        task = await self._intake.submit(Submission(version.project, LISTER, version=version.id))
        await self._record(Listing(version.id, task.id))
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

    async def ended(self) -> list[Task]:
        """Those that have finished and are not `done`; at first also what an engine before this one left.

        Raises Unavailable."""
        if not self._looked:
            async for stored in every_record(self._store, Listing):
                task = await self._store.task(stored.value.task)
                if task is not None and task.state is State.FINISHED:
                    self._ended[task.id] = task
            self._looked = True
        return list(self._ended.values())

    def done(self, task: Task) -> None:
        """Its spiders are taken over, or refused."""
        self._ended.pop(task.id, None)

    async def forget(self, version_id: str) -> None:
        """Its spiders are known."""
        stored = await self._store.record(Listing, version_id)
        if stored is not None:
            with suppress(Conflict):
                await self._store.delete_record(stored)

    async def _record(self, listing: Listing) -> None:
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
        if not isinstance(hint, TaskChanged):
            return
        if hint.task.spider == LISTER and hint.task.state is State.FINISHED:
            self._ended[hint.task.id] = hint.task
            self.wake.set()


def _read(task: Task, raw: bytes) -> Found:
    try:
        return _found.decode(raw)
    except msgspec.MsgspecError as error:
        raise BadInput(
            f"task {task.id} saved an item that names no spider: {error}",
            field="files",
            remedy="let the modules of the project's spiders save no items when they are imported",
        ) from None
