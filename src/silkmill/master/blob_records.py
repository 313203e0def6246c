"""Which contents are stored, and that nobody collects them while somebody counts on them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from silkmill.domain.errors import Conflict, Duplicate
from silkmill.domain.version import Blob, needs_touch
from silkmill.ports.bucket import Bucket
from silkmill.ports.clock import Clock
from silkmill.ports.store import Store

AT_ONCE = 200


class BlobRecords:
    """A blob that was touched is not doomed for half a day; one that is doomed counts as not stored."""

    def __init__(self, store: Store, bucket: Bucket, clock: Clock) -> None:
        self._store, self._bucket, self._clock = store, bucket, clock

    async def stored(self, sha256: str) -> Blob | None:
        """One that may be counted on, if it was touched lately enough. Raises Unavailable."""
        stored = await self._store.record(Blob, sha256)
        return None if stored is None or stored.value.doomed_at is not None else stored.value

    async def touched(self, shas: Sequence[str]) -> dict[str, Blob]:
        """Those of them that are stored, and touched now or lately. Raises Unavailable."""
        found: dict[str, Blob] = {}
        rest = iter(shas)
        while some := list(islice(rest, AT_ONCE)):
            blobs = await asyncio.gather(*map(self._touched, some))
            found |= {blob.sha256: blob for blob in blobs if blob is not None}
        return found

    async def insert(self, blob: Blob) -> None:
        """The record of an object that was put; in place of a doomed one too, whose object it is not."""
        while True:
            stored = await self._store.record(Blob, blob.sha256)
            try:
                if stored is None:
                    await self._store.insert_record(blob.sha256, blob)
                elif stored.value.doomed_at is not None:
                    await self._store.replace_record(stored, blob, secrets.token_hex(8))
                    await self._bucket.delete([stored.value.object_name])
                elif stored.value.object_name != blob.object_name:  # uploaded by somebody else meanwhile
                    await self._bucket.delete([blob.object_name])
                return
            except (Conflict, Duplicate):
                continue

    async def _touched(self, sha256: str) -> Blob | None:
        while True:
            stored = await self._store.record(Blob, sha256)
            if stored is None or stored.value.doomed_at is not None:
                return None
            now = self._clock.now()
            if not needs_touch(stored.value, now):
                return stored.value
            blob = replace(stored.value, touched_at=now)
            try:
                return (await self._store.replace_record(stored, blob, secrets.token_hex(8))).value
            except Conflict:
                continue
