"""Uploads: contents of files by hash, in and out."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable

from silkmill.domain.errors import NotFound
from silkmill.domain.version import Blob
from silkmill.master.blob_objects import object_name
from silkmill.master.blob_records import BlobRecords
from silkmill.master.hashed import Hashed, check_sha
from silkmill.master.outages import Outages
from silkmill.ports.bucket import Bucket
from silkmill.ports.clock import Clock
from silkmill.ports.store import Store
from silkmill.runtime.pieces import in_pieces

PIECE_BYTES = 1 << 20
"""What a link carries in one message."""


class Uploads:
    """What was put stays for the version that is made of it."""

    def __init__(self, store: Store, bucket: Bucket, outages: Outages, clock: Clock) -> None:
        self._store, self._bucket, self._outages, self._clock = store, bucket, outages, clock
        self._blobs = BlobRecords(store, bucket, clock)

    async def missing(self, shas: Iterable[str]) -> list[str]:
        """Those of the blobs that must be uploaded, in the order given. The others are kept for the version
        that is made of them. Raises BadInput."""
        unique = list(dict.fromkeys(check_sha(sha) for sha in shas))
        kept = await self._blobs.touched(unique)
        return [sha for sha in unique if sha not in kept]

    async def put_blob(self, sha256: str, data: bytes) -> None:
        """Store a file's content. A repeat is harmless. Raises BadInput when it has another hash."""
        Hashed(sha256, data).check()
        if await self._blobs.touched([sha256]):
            return
        name = object_name(sha256, self._clock.now())
        await self._bucket.put(name, data)
        await self._blobs.insert(Blob(sha256, name, len(data), self._clock.now()))

    async def put_blob_stream(self, sha256: str, content: AsyncIterable[bytes]) -> None:
        """`put_blob` for a content of any size, of which a few pieces are in memory."""
        pieces = in_pieces(content, PIECE_BYTES)
        first = await anext(pieces)
        if len(first) < PIECE_BYTES:
            await self.put_blob(sha256, first)
            return
        hashed = Hashed(sha256, first)
        if await self._blobs.touched([sha256]):
            async for _ in hashed.over(pieces):
                continue
        else:
            name = object_name(sha256, self._clock.now())
            await self._bucket.put_stream(name, hashed.over(pieces))
            await self._blobs.insert(Blob(sha256, name, hashed.size, self._clock.now()))

    async def blob(self, sha256: str, start: int = 0) -> AsyncIterator[bytes]:
        """The content of a file from byte `start` on, in pieces of at most 1 MiB.

        Raises NotFound, Unavailable."""
        with self._outages.noted():
            stored = await self._store.record(Blob, sha256)
        if stored is None:
            raise NotFound("blob", sha256, remedy="deploy the folder again")
        for position in range(start, stored.value.size, PIECE_BYTES):
            with self._outages.noted():
                piece = await self._bucket.get_range(stored.value.object_name, position, PIECE_BYTES)
            yield piece

    async def stored(self, sha256: str) -> Blob | None:
        """Its record, marked as asked for just now. Raises BadInput, Unavailable."""
        return await self._blobs.stored(check_sha(sha256))
