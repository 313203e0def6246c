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
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import msgspec
import zstandard

from silkmill.master.logs.grams import row_bytes
from silkmill.ports.bucket import Bucket
from silkmill.protocol.logframe import TAGS
from silkmill.protocol.loglevel import Level

BLOCK_BYTES = 512 * 1024
MAGIC = b"SILKLOG1"
INDEX_GUESS = 64 * 1024
"""Read from the end at first: the whole index of a log of half a gigabyte."""

TRAILER = struct.Struct("<Q8s")


class Block(msgspec.Struct, frozen=True, array_like=True):
    """`start` and `length` in the log; `position` and `size` in the object. `first_line` counts frames of the
    log; `frames` is how many of stdout, stdout/json, stderr and system are in it; times as in the frames;
    `worst` is the worst level of its lines (worst.py), which older objects do not tell."""

    start: int
    length: int
    position: int
    size: int
    first_line: int
    frames: tuple[int, int, int, int]
    first_time: str
    last_time: str
    worst: int = Level.CRITICAL

    @property
    def end(self) -> int:
        return self.start + self.length

    @property
    def latest(self) -> str:
        """Not before any of its times, which are in order; a frame that was torn has none of its own."""
        return max(self.first_time, self.last_time)

    def frames_tagged(self, tag: bytes) -> int:
        return self.frames[TAGS.index(tag)]

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
            length, magic = TRAILER.unpack(last[-TRAILER.size :])
            if magic != MAGIC:
                raise ValueError("no trailer")
        packed = last[: -TRAILER.size]
        if length > len(packed):
            packed = await bucket.get_range(name, size - TRAILER.size - length, length)
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


@contextmanager
def _unreadable(name: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, struct.error, zstandard.ZstdError, msgspec.MsgspecError) as error:
        raise UnreadableObject(f"{name}: {error}") from error
