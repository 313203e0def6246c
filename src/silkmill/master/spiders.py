"""Spiders: which versions each of them has, and which one new tasks get."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime

import structlog

from silkmill.domain.errors import BadInput, Conflict, Duplicate, NotFound
from silkmill.domain.spider import Spider, SpiderConfig
from silkmill.domain.version import SpiderVersion, Version
from silkmill.master.feed import Feed, LimitsChanged
from silkmill.master.records import every_record
from silkmill.master.schedules import Schedules
from silkmill.master.versions import Versions, spider_key
from silkmill.ports.clock import Clock
from silkmill.ports.store import Store
from silkmill.runtime.loop import side_by_side

_log = structlog.get_logger(__name__)


class Spiders:
    """A version is listed with its spiders before they point to it: a cut leaves one more to choose from.
    Then their schedules follow: a cut leaves records that say so, see `finish`."""

    def __init__(
        self, store: Store, versions: Versions, schedules: Schedules, feed: Feed, clock: Clock
    ) -> None:
        self._store, self._versions, self._schedules = store, versions, schedules
        self._feed, self._clock = feed, clock
        self._one_at_a_time = asyncio.Lock()
        self.may_be_cut_short = True
        """Some spider may point to a version whose schedules it does not have."""

    async def every(self) -> list[Spider]:
        """By project and name."""
        found = [stored.value async for stored in every_record(self._store, Spider)]
        return sorted(found, key=lambda spider: (spider.project, spider.name))

    async def versions_of(self, project: str, name: str) -> list[SpiderVersion]:
        """Newest first. Reads records of this spider alone."""
        prefix = after = f"{spider_key(project, name)}/"
        found: list[SpiderVersion] = []
        while page := await self._store.records(SpiderVersion, after=after):
            found += [stored.value for stored in page if stored.key.startswith(prefix)]
            after = page[-1].key
            if not after.startswith(prefix):
                break
        return sorted(found, key=lambda listed: listed.created_at, reverse=True)

    async def check_files(self, project: str, spiders: Iterable[SpiderConfig]) -> None:
        """Whether a version of these spiders can be released. Raises BadInput."""
        for config in spiders:
            await self._schedules.check_file(project, config)

    async def release(self, version: Version, asked_at: datetime | None = None) -> None:
        """Let new tasks of all its spiders get this version. A repeat is harmless.

        `asked_at`: when that was wanted, if not now: a spider for which something was chosen since then keeps
        that, and can be brought to this version by a rollback."""
        await self._versions.use(version.id)
        async with self._pointed():
            await side_by_side(self._release(version, name, asked_at) for name in version.spiders)

    async def choose(self, project: str, name: str, version_id: str) -> Spider:
        """Let new tasks of a spider get one of its versions, and its schedules. Raises NotFound, BadInput."""
        await self._versions.spider(project, name)
        config = await self._versions.config(project, name, version_id)
        await self._schedules.check_file(project, config)
        await self._versions.use(version_id)
        async with self._pointed():
            return await self._point(project, config, version_id, self._clock.now())

    async def finish(self) -> None:
        """Let schedules follow their version where a release was cut short. Raises Unavailable."""
        self.may_be_cut_short = False
        async with self._pointed():
            async for stored in every_record(self._store, Spider):
                if not stored.value.schedules_follow:
                    await self._finish(stored.value)

    async def _finish(self, spider: Spider) -> None:
        try:
            config = await self._versions.config(spider.project, spider.name, spider.version)
            await self._point(spider.project, config, spider.version, spider.pointed_at)
        except (BadInput, NotFound) as refusal:  # one of these names was made by hand meanwhile
            _log.error("schedules cannot follow the version", spider=spider.name, cause=str(refusal))

    @asynccontextmanager
    async def _pointed(self) -> AsyncIterator[None]:
        """One at a time, so that a spider and its schedules are of one version. Where the end is cut off
        something may have changed all the same."""
        async with self._one_at_a_time:
            try:
                yield
            except BaseException:
                self.may_be_cut_short = True
                raise
            finally:
                self._feed.publish(LimitsChanged())

    async def _release(self, version: Version, name: str, asked_at: datetime | None) -> None:
        listed = SpiderVersion(
            project=version.project,
            spider=name,
            version=version.id,
            files=len(version.files),
            bytes=version.bytes,
            created_at=version.created_at,
        )
        with suppress(Duplicate):  # the same files were deployed before
            await self._store.insert_record(f"{spider_key(version.project, name)}/{version.id}", listed)
        if asked_at is not None and await self._chosen_since(asked_at, version, name):
            return
        pointed_at = asked_at or self._clock.now()
        await self._point(version.project, version.spiders[name], version.id, pointed_at)

    async def _chosen_since(self, asked_at: datetime, version: Version, name: str) -> bool:
        stored = await self._store.record(Spider, spider_key(version.project, name))
        if stored is None or stored.value.version == version.id or stored.value.pointed_at is None:
            return False
        return stored.value.pointed_at > asked_at

    async def _point(
        self, project: str, config: SpiderConfig, version_id: str, pointed_at: datetime | None
    ) -> Spider:
        """To the version, and its schedules with it."""
        spider = Spider(project, config.name, version_id, pointed_at=pointed_at)

        def pointed(old: Spider) -> Spider:
            return replace(old, pointed_at=pointed_at) if old.version == version_id else spider

        def followed(old: Spider) -> Spider:
            return replace(old, schedules_follow=True) if old.version == version_id else old

        await self._change(spider, pointed)
        await self._schedules.follow_file(project, config)
        return await self._change(spider, followed)

    async def _change(self, spider: Spider, change: Callable[[Spider], Spider]) -> Spider:
        """`spider`: what it is if it is new."""
        key = spider_key(spider.project, spider.name)
        while True:
            stored = await self._store.record(Spider, key)
            new = change(stored.value if stored else spider)
            try:
                if stored is None:
                    await self._store.insert_record(key, new)
                elif stored.value != new:
                    await self._store.replace_record(stored, new, secrets.token_hex(8))
                return new
            except (Conflict, Duplicate):
                continue
