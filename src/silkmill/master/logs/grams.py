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
_PIECE = 1 << 16
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
        """The number of rows (a power of two or 0), the columns without bits (as a bit set), the matrix.

        It is folded in place: copies of the whole matrix would be most of the memory of a merge."""
        if self.blocks < FEWEST_BLOCKS:
            return 0, 0, b""
        rows = self._rows
        while len(rows) > FEWEST_ROWS * _STRIDE and _bits_of(rows) < FULL * self.blocks * len(rows) / _STRIDE:
            _fold(rows)
        return len(rows) // _STRIDE, self._always, _narrowed(rows, row_bytes(self.blocks))


def _bits_of(rows: bytearray) -> int:
    return sum(
        int.from_bytes(rows[at : at + _PIECE], "little").bit_count() for at in range(0, len(rows), _PIECE)
    )


def _fold(rows: bytearray) -> None:
    """Put the second half onto the first."""
    half = len(rows) // 2
    piece = min(half, _PIECE)
    for at in range(0, half, piece):
        upper = int.from_bytes(rows[half + at : half + at + piece], "little")
        folded = int.from_bytes(rows[at : at + piece], "little") | upper
        rows[at : at + piece] = folded.to_bytes(piece, "little")
    del rows[half:]


def row_bytes(blocks: int) -> int:
    return (blocks + 7) // 8


def _narrowed(rows: bytearray, width: int) -> bytes:
    """The first `width` bytes of every row."""
    narrow = bytearray(len(rows) // _STRIDE * width)
    for column in range(width):
        narrow[column::width] = rows[column::_STRIDE]
    return bytes(narrow)


def looked_up(literal: bytes) -> list[int]:
    """Hashes of runs that a block with `literal` must have; empty when its words are too short to tell."""
    grams = sorted(grams_of(literal) or ())
    step = max(1, len(grams) // MOST_LOOKED_UP)
    return [crc32(gram) for gram in grams[::step][:MOST_LOOKED_UP]]
