"""Ships one stream of an attempt: batch by batch, one in flight, from what the master has acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

from silkmill.domain.errors import OffsetMismatch
from silkmill.runtime.loop import wait_set
from silkmill.worker.batches import Batch, ItemBatches, LogBatches
from silkmill.worker.segments import MissingBytes

PACE_SECONDS = 0.05
LOOK_SECONDS = 1.0

Send = Callable[[Batch], Awaitable[int]]
"""Delivers a batch, however long it takes; answers the stored offset. Raises OffsetMismatch, StaleAttempt."""


class Shipper:
    """The first bytes after a pause go at once; while more come, a batch is sent when it is full, or 50 ms
    after the one before. Bytes leave the disk when they are acknowledged, never when they are merely sent."""

    def __init__(self, batches: LogBatches | ItemBatches, send: Send) -> None:
        self.batches = batches
        self._send = send
        self._size = self._count = 0
        self._end: int | None = None
        self._hurry = False
        self._sent_at = 0.0
        self._wake = asyncio.Event()

    @property
    def complete(self) -> bool:
        """Everything is acknowledged and no more will come."""
        return self._end is not None and self.batches.offset >= self._end

    @property
    def is_behind(self) -> bool:
        """Whether something is known to be written and not acknowledged."""
        return self._size > self.batches.offset

    @property
    def fits_one_batch(self) -> bool:
        """Whether the rest up to the known end is small."""
        return self._end is not None and not self.batches.is_batch(self._end, self._count)

    def grew(self, size: int, count: int) -> None:
        """The runner has written so much in all."""
        self._size, self._count = size, count
        if self._is_due():
            self._wake.set()

    def end_at(self, size: int, count: int) -> None:
        """No more will be written than these bytes and items. Everything left is sent without pauses."""
        self._end, self._count = size, count
        self._wake.set()

    async def run(self) -> None:
        """Until complete. Raises StaleAttempt; MissingBytes when the files do not hold what they should."""
        try:
            while not self.complete:
                await self._step()
        finally:
            self.batches.close()

    async def _step(self) -> None:
        self._wake.clear()
        if not self._is_due():
            await wait_set(self._wake, self._sent_at + PACE_SECONDS - monotonic())
            return
        batch = self.batches.next()
        if batch is None:
            self._check_end()
            await wait_set(self._wake, LOOK_SECONDS)
        else:
            await self._ship(batch)

    async def _ship(self, batch: Batch) -> None:
        self._sent_at, self._hurry = monotonic(), batch.full
        try:
            stored = await self._send(batch)
        except OffsetMismatch as mismatch:
            stored = mismatch.expected
        if stored == batch.end:
            self.batches.acknowledge(batch)
        else:
            self.batches.move_to(stored)

    async def recheck(self) -> None:
        """Ask where the stream is stored up to, and go on from there. Raises StaleAttempt."""
        await self._ship(
            Batch(self.batches.offset, self.batches.offset, full=False, first_ordinal=self._ordinal)
        )
        await self.run()

    @property
    def _ordinal(self) -> int:
        return self.batches.ordinal if isinstance(self.batches, ItemBatches) else 0

    def _is_due(self) -> bool:
        if self._hurry or self._end is not None or self.batches.is_batch(self._size, self._count):
            return True
        return monotonic() >= self._sent_at + PACE_SECONDS

    def _check_end(self) -> None:
        self._hurry = False
        if self._end is not None:
            raise MissingBytes(self.batches.directory, self.batches.stream, self.batches.offset)
