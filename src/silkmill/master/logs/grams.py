"""Which blocks of a merged log may hold a word: one bit per block and hashed run of five letters or digits.

A section of 256 blocks has one matrix: a row per hash, a column per block. A search reads a few rows, each of
at most 32 bytes. Runs are taken from distinct words, because a log repeats its words; so it costs little more
than splitting the log into words. A block of mostly random letters gets no bits and is always looked into.
"""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

GRAM = 5
SECTION_BLOCKS = 256
FEWEST_BLOCKS = 8
"""Looking into fewer is cheaper than a filter."""
MOST_ROWS = 1 << 18
FEWEST_ROWS = 1 << 10
MOST_GRAMS = 1 << 17
"""A block with more would be found by nearly every search."""
FULL = 0.125
"""Rows are folded together until so many of a column's bits are set, at the most twice that."""
MOST_LOOKED_UP = 8

_STRIDE = SECTION_BLOCKS // 8
_LETTERS = bytes(range(48, 58)) + bytes(range(65, 91)) + b"_" + bytes(range(97, 123)) + bytes(range(128, 256))
_SPACED = bytes(code if code in _LETTERS else 32 for code in range(256))


def grams_of(text: bytes) -> set[bytes] | None:
    """The runs of five in the words of `text`; None when there are too many to be of use."""
    words = {word for word in text.translate(_SPACED).split() if len(word) >= GRAM}
    if sum(map(len, words)) - (GRAM - 1) * len(words) > MOST_GRAMS:
        return None
    return {word[at : at + GRAM] for word in words for at in range(len(word) - GRAM + 1)}


class SectionFilter:
    """Built block by block; 8 MiB while it is built, a few bits per distinct run when it is written."""

    def __init__(self) -> None:
        self._rows = bytearray(MOST_ROWS * _STRIDE)
        self._always = 0
        self.blocks = 0

    def add(self, block: bytes) -> None:
        grams = grams_of(block)
        if grams is None:
            self._always |= 1 << self.blocks
        else:
            self._set(grams, self.blocks)
        self.blocks += 1

    def _set(self, grams: Iterable[bytes], column: int) -> None:
        rows, position, bit = self._rows, column >> 3, 1 << (column & 7)
        for gram in grams:
            rows[(crc32(gram) & (MOST_ROWS - 1)) * _STRIDE + position] |= bit

    def finish(self) -> tuple[int, int, bytes]:
        """The number of rows (a power of two or 0), the columns without bits (as a bit set), the matrix."""
        if self.blocks < FEWEST_BLOCKS:
            return 0, 0, b""
        rows = bytes(self._rows)
        bits = int.from_bytes(rows, "little").bit_count()
        while len(rows) > FEWEST_ROWS * _STRIDE and bits < FULL * self.blocks * len(rows) / _STRIDE:
            half = len(rows) // 2
            folded = int.from_bytes(rows[:half], "little") | int.from_bytes(rows[half:], "little")
            rows, bits = folded.to_bytes(half, "little"), folded.bit_count()
        return len(rows) // _STRIDE, self._always, _narrowed(rows, row_bytes(self.blocks))


def row_bytes(blocks: int) -> int:
    return (blocks + 7) // 8


def _narrowed(rows: bytes, width: int) -> bytes:
    if width == _STRIDE:
        return rows
    return b"".join(rows[at : at + width] for at in range(0, len(rows), _STRIDE))


def looked_up(literal: bytes) -> list[int]:
    """Hashes of runs that a block with `literal` must have; empty when its words are too short to tell."""
    grams = sorted(grams_of(literal) or ())
    step = max(1, len(grams) // MOST_LOOKED_UP)
    return [crc32(gram) for gram in grams[::step][:MOST_LOOKED_UP]]
