"""What is sent next of a stream: log bytes as they are, items as whole records with their ordinals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from silkmill.worker.segments import SegmentReader

if TYPE_CHECKING:
    from silkmill.protocol.attemptdir import Stream

BATCH_BYTES = 1 << 20
BATCH_ITEMS = 1000


@dataclass(frozen=True, slots=True)
class Batch:
    """The bytes [offset, end) of a stream. A log has `data`, items have `records` without their newlines.

    `full`: more is likely to be there already."""

    offset: int
    end: int
    full: bool
    data: bytes = field(default=b"", repr=False)
    first_ordinal: int = 0
    records: Sequence[bytes] = field(default=(), repr=False)


class LogBatches:
    """`offset`: everything before it is acknowledged."""

    stream: Stream = "log"

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.offset = 0
        self._reader = SegmentReader(directory, "log")

    def next(self) -> Batch | None:
        """The bytes after what is acknowledged; None when there are none for now. Raises MissingBytes."""
        data = self._reader.read(self.offset, BATCH_BYTES)
        if not data:
            return None
        return Batch(self.offset, self.offset + len(data), full=len(data) == BATCH_BYTES, data=data)

    def is_batch(self, size: int, count: int) -> bool:
        """Whether a stream of so many bytes and items holds a full batch beyond the offset."""
        return size - self.offset >= BATCH_BYTES

    def acknowledge(self, batch: Batch) -> None:
        self.offset = batch.end

    def move_to(self, offset: int) -> None:
        """The master has stored up to `offset`, which is not what we thought."""
        self.offset = offset
        self._reader.seek()

    def close(self) -> None:
        self._reader.close()


class ItemBatches:
    """The same with `ordinal`, the number of the first item after `offset`."""

    stream: Stream = "items"

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.offset = 0
        self.ordinal = 0
        self._reader = SegmentReader(directory, "items")
        self._records: list[bytes] = []
        self._next = 0
        self._read_full = False

    def next(self) -> Batch | None:
        """Raises MissingBytes."""
        if self._next == len(self._records):
            self._records, self._next = self._read_records(), 0
        records = self._records[self._next : self._next + BATCH_ITEMS]
        if not records:
            return None
        size = sum(map(len, records)) + len(records)
        return Batch(
            self.offset,
            self.offset + size,
            full=self._read_full or self._next + len(records) < len(self._records),
            first_ordinal=self.ordinal,
            records=records,
        )

    def is_batch(self, size: int, count: int) -> bool:
        return size - self.offset >= BATCH_BYTES or count - self.ordinal >= BATCH_ITEMS

    def acknowledge(self, batch: Batch) -> None:
        self.offset = batch.end
        self.ordinal += len(batch.records)
        self._next += len(batch.records)

    def move_to(self, offset: int) -> None:
        """Raises MissingBytes when the lines between here and there cannot be counted."""
        low, high = sorted((self.offset, offset))
        between = self._reader.newlines_between(low, high)
        self.ordinal += between if offset > self.offset else -between
        self.offset = offset
        self._records, self._next = [], 0
        self._reader.seek()

    def close(self) -> None:
        self._reader.close()

    def _read_records(self) -> list[bytes]:
        data = self._reader.read(self.offset, BATCH_BYTES)
        self._read_full = len(data) == BATCH_BYTES
        end = data.rfind(b"\n")
        if end < 0:
            return self._read_long_record() if len(data) == BATCH_BYTES else []
        return data[:end].split(b"\n")

    def _read_long_record(self) -> list[bytes]:
        """A record longer than a batch is one of its own. Its end is looked for without holding it."""
        start = self.offset + BATCH_BYTES
        while data := self._reader.peek(start, BATCH_BYTES):
            newline = data.find(b"\n")
            if newline >= 0:
                return [self._reader.peek(self.offset, start + newline - self.offset)]
            start += len(data)
        return []
