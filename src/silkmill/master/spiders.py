"""Spiders: which versions each of them has, and which one new tasks get."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

from silkmill.domain.errors import Conflict, Duplicate
from silkmill.domain.spider import Spider, SpiderConfig
from silkmill.domain.version import SpiderVersion, Version
from silkmill.master.feed import Feed, LimitsChanged
from silkmill.master.records import every_record
from silkmill.master.schedules import Schedules
from silkmill.master.versions import Versions, spider_key
from silkmill.ports.store import Store
from silkmill.runtime.loop import side_by_side


class Spiders:
    """A version is listed with its spiders before they point to it: a cut leaves one more to choose from."""

    def __init__(self, store: Store, versions: Versions, schedules: Schedules, feed: Feed) -> None:
        self._store, self._versions, self._schedules, self._feed = store, versions, schedules, feed
        self._one_at_a_time = asyncio.Lock()

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

    async def release(self, version: Version) -> None:
        """Let new tasks of all its spiders get this version. A repeat is harmless."""
        await self._versions.use(version.id)
        async with self._pointed():
            await side_by_side(self._release(version, name) for name in version.spiders)

    async def choose(self, project: str, name: str, version_id: str) -> Spider:
        """Let new tasks of a spider get one of its versions, and its schedules. Raises NotFound, BadInput."""
        await self._versions.spider(project, name)
        config = await self._versions.config(project, name, version_id)
        await self._schedules.check_file(project, config)
        await self._versions.use(version_id)
        async with self._pointed():
            spider = await self._point(Spider(project, name, version_id))
            await self._schedules.follow_file(project, config)
        return spider

    @asynccontextmanager
    async def _pointed(self) -> AsyncIterator[None]:
        """One at a time, so that a spider and its schedules are of one version. Where the end is cut off
        something may have changed all the same."""
        async with self._one_at_a_time:
            try:
                yield
            finally:
                self._feed.publish(LimitsChanged())

    async def _release(self, version: Version, name: str) -> None:
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
        await self._point(Spider(version.project, name, version.id))
        await self._schedules.follow_file(version.project, version.spiders[name])

    async def _point(self, spider: Spider) -> Spider:
        key = spider_key(spider.project, spider.name)
        while True:
            stored = await self._store.record(Spider, key)
            try:
                if stored is None:
                    await self._store.insert_record(key, spider)
                elif stored.value != spider:
                    await self._store.replace_record(stored, spider, secrets.token_hex(8))
                return spider
            except (Conflict, Duplicate):
                continue
