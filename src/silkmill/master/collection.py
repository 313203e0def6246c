"""Garbage collection of blobs: files that no version names any more.

A blob goes in two ticks: it is doomed by a conditional write, and from then on nobody can count on it; then,
still named by no version, its object is deleted, and the record last.
"""

from __future__ import annotations

import secrets
from dataclasses import replace

import structlog

from silkmill.domain.errors import Conflict
from silkmill.domain.version import ANSWER_HOLDS, Blob, Version
from silkmill.master.records import every_record
from silkmill.ports.bucket import Bucket
from silkmill.ports.clock import Clock
from silkmill.ports.store import Store, Stored

TICK_SECONDS = 600.0
UNTOUCHED = 2 * ANSWER_HOLDS
LOOKED_AT_ONCE = 20_000
WRITES_AT_ONCE = 500
PAGE = 1000
VERSIONS_PER_READ = 10
"""A version may name ten thousands of files."""
REMEMBERED_SECONDS = 6 * 3600.0
MOST_REMEMBERED = 200_000

_log = structlog.get_logger(__name__)


class Collection:
    """Any number of masters may run it."""

    def __init__(self, store: Store, bucket: Bucket, clock: Clock) -> None:
        self._store, self._bucket, self._clock = store, bucket, clock
        self._after = ""
        self._named: set[str] = set()
        """Blobs that a version names, as it was found lately: all manifests are read to know it."""
        self._forget_at = clock.boottime()

    async def tick(self) -> None:
        """Look at some blobs, by hash; the next tick goes on. Raises Unavailable."""
        unused = await self._candidates()
        if unused:
            await self._spare_named(unused)
        for stored in list(unused.values())[:WRITES_AT_ONCE]:
            await self._collect(stored)

    async def _candidates(self) -> dict[str, Stored[Blob]]:
        """Doomed ones, and those that nobody has touched for a day and no version is known to name."""
        if self._clock.boottime() >= self._forget_at:
            self._named.clear()
            self._forget_at = self._clock.boottime() + REMEMBERED_SECONDS
        untouched_since = self._clock.now() - UNTOUCHED
        found: dict[str, Stored[Blob]] = {}
        for _ in range(LOOKED_AT_ONCE // PAGE):
            page = await self._store.records(Blob, after=self._after, limit=PAGE)
            for stored in page:
                untouched = stored.value.touched_at < untouched_since and stored.key not in self._named
                if stored.value.doomed_at is not None or untouched:
                    found[stored.key] = stored
            self._after = page[-1].key if len(page) == PAGE else ""
            if not self._after:
                break
        return found

    async def _spare_named(self, unused: dict[str, Stored[Blob]]) -> None:
        """Take out of them what a version names."""
        async for version in every_record(self._store, Version, at_once=VERSIONS_PER_READ):
            for entry in version.value.files:
                if len(self._named) < MOST_REMEMBERED:
                    self._named.add(entry.sha256)
                if (stored := unused.pop(entry.sha256, None)) and stored.value.doomed_at is not None:
                    await self._replace(stored, replace(stored.value, doomed_at=None))

    async def _collect(self, stored: Stored[Blob]) -> None:
        if stored.value.doomed_at is None:
            await self._replace(stored, replace(stored.value, doomed_at=self._clock.now()))
            return
        await self._bucket.delete([stored.value.object_name])
        try:
            await self._store.delete_record(stored)
        except Conflict:
            _log.debug("a doomed blob was uploaded again", sha256=stored.key)

    async def _replace(self, stored: Stored[Blob], blob: Blob) -> None:
        try:
            await self._store.replace_record(stored, blob, secrets.token_hex(8))
        except Conflict:
            _log.debug("a blob was touched", sha256=stored.key)
