"""Retention of versions: those that no spider points to and no kept task is pinned to, once they are old.

A version goes like a blob: it is doomed, and a day later, when still nothing needs it, deleted. Whoever wants
to use a doomed one takes the mark away first, by a conditional write, which the deletion then meets.
"""

from __future__ import annotations

import secrets
from collections.abc import Set
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from silkmill.domain.errors import Conflict
from silkmill.domain.spider import Spider
from silkmill.domain.version import Listing, SpiderVersion, Version
from silkmill.master.records import every_record
from silkmill.master.versions import Versions
from silkmill.ports.clock import Clock
from silkmill.ports.store import Store, Stored

DOOMED_FOR = timedelta(hours=24)
"""So long a submission that was under way when the mark was set may take to become tasks."""
VERSIONS_PER_READ = 10
SWEEP_SECONDS = 3600.0
"""From one look at all versions, with their manifests, to the next."""

_log = structlog.get_logger(__name__)


class VersionRetention:
    """`kept_for`: how long a version stays that nothing needs; None for ever."""

    def __init__(self, store: Store, versions: Versions, kept_for: timedelta | None, clock: Clock) -> None:
        self._store, self._versions, self._kept_for, self._clock = store, versions, kept_for, clock
        self._may_be_listed = True
        """Versions that are gone, with their spiders: at first, for a crash may have been in between."""
        self._may_be_doomed = True
        """Some version: at first, for another engine may have doomed it."""
        self._next_sweep_at = clock.boottime()

    async def sweep(self, pinned: Set[str]) -> None:
        """`pinned`: the versions of all tasks that are kept. Raises Unavailable."""
        if self._kept_for is None or self._clock.boottime() < self._next_sweep_at:
            return
        needed = pinned | {stored.value.version async for stored in every_record(self._store, Spider)}
        unfinished = self._may_be_doomed or self._may_be_listed
        if unfinished or await self._may_doom_one(needed, self._kept_for):
            await self._sweep(needed, self._kept_for)
        self._next_sweep_at = self._clock.boottime() + SWEEP_SECONDS

    async def _may_doom_one(self, needed: Set[str], kept_for: timedelta) -> bool:
        """As the lists of the spiders say, which are short."""
        created_before = self._clock.now() - kept_for
        async for stored in every_record(self._store, SpiderVersion):
            if stored.value.created_at < created_before and stored.value.version not in needed:
                return True
        return False

    async def _sweep(self, needed: Set[str], kept_for: timedelta) -> None:
        there: set[str] = set()
        doomed = False
        async for stored in every_record(self._store, Version, at_once=VERSIONS_PER_READ):
            try:
                kept = await self._kept(stored, self._clock.now(), kept_for, needed=stored.key in needed)
            except Conflict:
                _log.debug("a doomed version is used again", version=stored.key)
                continue
            if kept is not None:
                there.add(stored.key)
                doomed = doomed or kept.doomed_at is not None
        self._may_be_doomed = doomed
        if self._may_be_listed:
            await self._unlist(there)
            self._may_be_listed = False

    async def _kept(
        self, stored: Stored[Version], now: datetime, kept_for: timedelta, *, needed: bool
    ) -> Version | None:
        """As it is afterwards; None: it is gone. Raises Conflict."""
        version = stored.value
        if needed:
            if version.doomed_at is not None:
                return await self._marked(stored, None)
        elif version.doomed_at is None:
            if now - version.created_at > kept_for:
                return await self._marked(stored, now)
        elif now - version.doomed_at > DOOMED_FOR:
            await self._store.delete_record(stored)
            await self._forget_listing(stored.key)
            self._versions.forget(stored.key)
            self._may_be_listed = True
            _log.info("retention deleted a version", version=stored.key)
            return None
        return version

    async def _forget_listing(self, version_id: str) -> None:
        """Of one whose spiders were never found."""
        listing = await self._store.record(Listing, version_id)
        if listing is not None:
            await self._store.delete_record(listing)

    async def _unlist(self, there: Set[str]) -> None:
        """No spider shall offer a version that is gone. `there`: those that were not, a moment ago."""
        async for stored in every_record(self._store, SpiderVersion):
            version = stored.value.version
            if version not in there and await self._store.record(Version, version) is None:
                await self._store.delete_record(stored)

    async def _marked(self, stored: Stored[Version], doomed_at: datetime | None) -> Version:
        marked = replace(stored.value, doomed_at=doomed_at)
        await self._store.replace_record(stored, marked, secrets.token_hex(8))
        self._versions.forget(stored.key)
        return marked
