"""The merged log: one object of independently compressed blocks, a word filter per 256 of them, and an index.

    object   := section* index
    section  := block{1,256} filter
    block    := a zstd frame: about 512 KiB of whole log frames
    filter   := a skippable zstd frame: the matrix of grams.py; none for fewer than 8 blocks
    index    := a skippable zstd frame: zstd(msgpack of Index), its length as little-endian u64, `SILKLOG1`

So `zstd -dc` on the object gives the log. A reader begins with the last bytes, then reads only what it needs.
"""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import msgspec
import zstandard

from silkmill.master.logs.grams import SECTION_BLOCKS, SectionFilter, row_bytes
from silkmill.ports.bucket import Bucket
from silkmill.protocol.logframe import TAGS

BLOCK_BYTES = 512 * 1024
MAGIC = b"SILKLOG1"
INDEX_GUESS = 64 * 1024
"""Read from the end at first: the whole index of a log of half a gigabyte."""

_SKIPPABLE = struct.Struct("<II")
_SKIPPABLE_MAGIC = 0x184D2A50
_TRAILER = struct.Struct("<Q8s")
_TIME = slice(0, 30)
_TAG = slice(31, 38)  # no two tags begin with the same seven bytes


class Block(msgspec.Struct, frozen=True, array_like=True):
    """`start` and `length` in the log; `position` and `size` in the object. `first_line` counts frames of the
    log; `frames` is how many of stdout, stdout/json, stderr and system are in it; times as in the frames."""

    start: int
    length: int
    position: int
    size: int
    first_line: int
    frames: tuple[int, int, int, int]
    first_time: str
    last_time: str

    @property
    def end(self) -> int:
        return self.start + self.length

    def frames_of(self, stream: bytes) -> int:
        """How many frames of stdout (its messages too), stderr or system."""
        return sum(count for count, tag in zip(self.frames, TAGS, strict=True) if tag.startswith(stream))


class Section(msgspec.Struct, frozen=True, array_like=True):
    """256 blocks (fewer in the last section) and their filter: `position` of its first row in the object.

    `rows` is a power of two, or 0 for no filter. `always`: little-endian bit set of the blocks of which the
    filter knows nothing."""

    blocks: int
    position: int
    rows: int
    always: bytes


class Index(msgspec.Struct, frozen=True, array_like=True):
    blocks: list[Block]
    sections: list[Section]


async def encode(log: AsyncIterator[tuple[int, bytes]]) -> AsyncIterator[bytes]:
    """The pieces of the object for (offset, bytes of whole frames); memory for one block and one filter."""
    encoder = _Encoder()
    async for start, block in log:
        yield await asyncio.to_thread(encoder.block, start, block)
        if encoder.section_is_full:
            yield await asyncio.to_thread(encoder.end_section)
    yield await asyncio.to_thread(encoder.end)


class _Encoder:
    def __init__(self) -> None:
        self._zstd = zstandard.ZstdCompressor(level=3)
        self._index = Index([], [])
        self._filter = SectionFilter()
        self._position = 0
        self._lines = 0

    @property
    def section_is_full(self) -> bool:
        return self._filter.blocks == SECTION_BLOCKS

    def block(self, start: int, data: bytes) -> bytes:
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
            )
        )
        self._lines += len(lines)
        self._filter.add(b"\n".join([line[_TAG.start :] for line in lines]))
        return self._placed(packed)

    def end_section(self) -> bytes:
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

    def end(self) -> bytes:
        section = self.end_section() if self._filter.blocks else b""
        index = self._zstd.compress(msgspec.msgpack.encode(self._index))
        return section + _skippable(index + _TRAILER.pack(len(index), MAGIC))

    def _placed(self, piece: bytes) -> bytes:
        self._position += len(piece)
        return piece


class UnreadableObject(Exception):
    """The object is there, but its bytes are not those of a merged log."""


class MergedLog:
    """One merged object that is being read. Keeps its index and the last block."""

    def __init__(self, bucket: Bucket, name: str, index: Index) -> None:
        self._bucket = bucket
        self._name = name
        self._index = index
        self._last: tuple[int, bytes] = (-1, b"")

    @property
    def blocks(self) -> list[Block]:
        return self._index.blocks

    @classmethod
    async def open(cls, bucket: Bucket, name: str) -> MergedLog:
        """Raises NotFound, UnreadableObject."""
        size = await bucket.size(name)
        last = await bucket.get_range(name, max(0, size - INDEX_GUESS), INDEX_GUESS)
        with _unreadable(name):
            length, magic = _TRAILER.unpack(last[-_TRAILER.size :])
            if magic != MAGIC:
                raise ValueError("no trailer")
        packed = last[: -_TRAILER.size]
        if length > len(packed):
            packed = await bucket.get_range(name, size - _TRAILER.size - length, length)
        with _unreadable(name):
            return cls(bucket, name, _index_decoder.decode(zstandard.decompress(packed[-length:])))

    async def read_block(self, number: int) -> bytes:
        """Raises NotFound, UnreadableObject."""
        if self._last[0] != number:
            block = self.blocks[number]
            packed = await self._bucket.get_range(self._name, block.position, block.size)
            with _unreadable(self._name):
                self._last = number, await asyncio.to_thread(zstandard.decompress, packed)
        return self._last[1]

    async def may_hold(self, hashes: list[int], first: int) -> AsyncIterator[int]:
        """The numbers of blocks from `first` on that may hold text with these hashes (grams.looked_up)."""
        begin = 0
        for section in self._index.sections:
            end = begin + section.blocks
            if end > first:
                bits = await self._candidates(section, hashes)
                for block in range(max(first, begin), end):
                    if bits >> (block - begin) & 1:
                        yield block
            begin = end

    async def _candidates(self, section: Section, hashes: list[int]) -> int:
        found = (1 << section.blocks) - 1
        if section.rows:
            width = row_bytes(section.blocks)
            for value in hashes:
                at = section.position + (value & (section.rows - 1)) * width
                found &= int.from_bytes(await self._bucket.get_range(self._name, at, width), "little")
        return found | int.from_bytes(section.always, "little")


_index_decoder = msgspec.msgpack.Decoder(Index)


def _skippable(payload: bytes) -> bytes:
    return _SKIPPABLE.pack(_SKIPPABLE_MAGIC, len(payload)) + payload


def _text(value: bytes) -> str:
    return value.decode("ascii", "replace")


@contextmanager
def _unreadable(name: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, struct.error, zstandard.ZstdError, msgspec.MsgspecError) as error:
        raise UnreadableObject(f"{name}: {error}") from error
