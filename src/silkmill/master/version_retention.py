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
from silkmill.domain.version import SpiderVersion, Version
from silkmill.master.records import every_record
from silkmill.master.versions import Versions
from silkmill.ports.clock import Clock
from silkmill.ports.store import Store, Stored

DOOMED_FOR = timedelta(hours=24)
"""So long a submission that was under way when the mark was set may take to become tasks."""
VERSIONS_PER_READ = 10

_log = structlog.get_logger(__name__)


class VersionRetention:
    """`kept_for`: how long a version stays that nothing needs; None for ever."""

    def __init__(self, store: Store, versions: Versions, kept_for: timedelta | None, clock: Clock) -> None:
        self._store, self._versions, self._kept_for, self._clock = store, versions, kept_for, clock
        self._may_be_listed = True
        """Versions that are gone, with their spiders: at first, for a crash may have been in between."""

    async def sweep(self, pinned: Set[str]) -> None:
        """`pinned`: the versions of all tasks that are kept. Raises Unavailable."""
        if self._kept_for is None:
            return
        pointed = {stored.value.version async for stored in every_record(self._store, Spider)}
        there: set[str] = set()
        async for stored in every_record(self._store, Version, at_once=VERSIONS_PER_READ):
            needed = stored.key in pinned or stored.key in pointed
            try:
                if await self._stays(stored, self._clock.now(), self._kept_for, needed=needed):
                    there.add(stored.key)
            except Conflict:
                _log.debug("a doomed version is used again", version=stored.key)
        if self._may_be_listed:
            await self._unlist(there)
            self._may_be_listed = False

    async def _stays(
        self, stored: Stored[Version], now: datetime, kept_for: timedelta, *, needed: bool
    ) -> bool:
        version = stored.value
        if needed:
            if version.doomed_at is not None:
                await self._mark(stored, None)
        elif version.doomed_at is None:
            if now - version.created_at > kept_for:
                await self._mark(stored, now)
        elif now - version.doomed_at > DOOMED_FOR:
            await self._store.delete_record(stored)
            self._versions.forget(stored.key)
            self._may_be_listed = True
            _log.info("retention deleted a version", version=stored.key)
            return False
        return True

    async def _unlist(self, there: Set[str]) -> None:
        """No spider shall offer a version that is gone. `there`: those that were not, a moment ago."""
        async for stored in every_record(self._store, SpiderVersion):
            version = stored.value.version
            if version not in there and await self._store.record(Version, version) is None:
                await self._store.delete_record(stored)

    async def _mark(self, stored: Stored[Version], doomed_at: datetime | None) -> None:
        marked = replace(stored.value, doomed_at=doomed_at)
        await self._store.replace_record(stored, marked, secrets.token_hex(8))
        self._versions.forget(stored.key)
