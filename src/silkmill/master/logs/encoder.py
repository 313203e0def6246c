"""Makes the merged object of a log (see merged.py) from its blocks, one after the other.

Per line it is work in Python, which would hold up everything else in the engine: the blocks of a large log go
to a process of low priority.
"""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
import zstandard

from silkmill.master.logs.grams import SECTION_BLOCKS, SectionFilter, row_bytes
from silkmill.master.logs.merged import BLOCK_BYTES, MAGIC, TRAILER, Block, Index, Section
from silkmill.master.logs.worst import worst_level
from silkmill.protocol.logframe import TAGS
from silkmill.runtime.workprocess import work_process

FEW_BYTES = 8 * BLOCK_BYTES
"""A log of at most so many is packed in a thread: starting a process would take longer."""

_START = struct.Struct("<Q")
_SKIPPABLE = struct.Struct("<II")
_SKIPPABLE_MAGIC = 0x184D2A50
_TIME = slice(0, 30)
_TAG = slice(31, 38)  # no two tags begin with the same seven bytes


async def encode(log: AsyncIterator[tuple[int, bytes]], size: int) -> AsyncGenerator[bytes]:
    """The pieces of the object for (offset, bytes of whole frames) of a log of about `size` bytes.
    Who may not take all of them closes it.

    Memory for one block and one filter. Raises Unavailable when the process that works for us has died."""
    async with _packing(size) as pack:
        async for start, block in log:
            yield await pack(_START.pack(start) + block)
        yield await pack(b"")


@asynccontextmanager
async def _packing(size: int) -> AsyncIterator[Callable[[bytes], Awaitable[bytes]]]:
    if size > FEW_BYTES:
        async with work_process("silkmill.master.logs.encoder_process") as process:
            yield process.ask
    else:
        encoder = Encoder()
        yield lambda block: asyncio.to_thread(encoder.take, block)


class Encoder:
    """`take` gets the offset (little-endian u64) and bytes of each block, and at last nothing."""

    def __init__(self) -> None:
        self._zstd = zstandard.ZstdCompressor(level=3)
        self._index = Index([], [])
        self._filter = SectionFilter()
        self._position = 0
        self._lines = 0

    def take(self, message: bytes) -> bytes:
        """The next bytes of the object."""
        if not message:
            return self._end()
        (start,) = _START.unpack_from(message)
        packed = self._block(start, message[_START.size :])
        return packed + self._end_section() if self._filter.blocks == SECTION_BLOCKS else packed

    def _block(self, start: int, data: bytes) -> bytes:
        lines = data.split(b"\n")[:-1] or [data]
        counts = Counter([line[_TAG] for line in lines])
        stdout, messages, stderr, system = (counts[(tag + b" ")[:7]] for tag in TAGS)
        times = _text(lines[0][_TIME]), _text(lines[-1][_TIME])
        packed = self._zstd.compress(data)
        self._index.blocks.append(
            Block(
                start,
                len(data),
                self._position,
                len(packed),
                self._lines,
                (stdout, messages, stderr, system),
                *times,
                worst_level(data),
            )
        )
        self._lines += len(lines)
        self._filter.add(b"\n".join([line[_TAG.start :] for line in lines]))
        return self._placed(packed)

    def _end_section(self) -> bytes:
        rows, always, matrix = self._filter.finish()
        self._index.sections.append(
            Section(
                self._filter.blocks,
                self._position + _SKIPPABLE.size,
                rows,
                always.to_bytes(row_bytes(self._filter.blocks), "little"),
            )
        )
        self._filter = SectionFilter()
        return self._placed(_skippable(matrix))

    def _end(self) -> bytes:
        section = self._end_section() if self._filter.blocks else b""
        index = self._zstd.compress(msgspec.msgpack.encode(self._index))
        return section + _skippable(index + TRAILER.pack(len(index), MAGIC))

    def _placed(self, piece: bytes) -> bytes:
        self._position += len(piece)
        return piece


def _skippable(payload: bytes) -> bytes:
    return _SKIPPABLE.pack(_SKIPPABLE_MAGIC, len(payload)) + payload


def _text(value: bytes) -> str:
    return value.decode("ascii", "replace")
