"""A gzip stream (RFC 1952) read forward, with every byte of it on a budget."""

from __future__ import annotations

import zlib
from typing import BinaryIO

from silkmill.client.archive.members import PIECE_BYTES, BadArchive
from silkmill.client.archive.rules import Budget

GZIP = 16 + zlib.MAX_WBITS


class Gunzip:
    """One stream only: a million empty ones cost time and hold nothing."""

    def __init__(self, file: BinaryIO, budget: Budget) -> None:
        self._file, self._budget = file, budget
        self._inflate = zlib.decompressobj(GZIP)
        self._ready = b""

    def read(self, size: int) -> bytes:
        """`size` bytes, fewer only at the end. Raises BadArchive."""
        while len(self._ready) < size and self._fill():
            continue
        data, self._ready = self._ready[:size], self._ready[size:]
        return data

    def read_to_end(self) -> None:
        """Past the padding behind the last member to the check sum. Only zeros may follow it."""
        while self.read(PIECE_BYTES):
            continue
        if (self._inflate.unused_data + self._file.read(PIECE_BYTES)).strip(b"\0"):
            raise BadArchive("something follows its end; pack it again")

    def _fill(self) -> bool:
        if self._inflate.eof:
            return False
        packed = self._inflate.unconsumed_tail or self._file.read(PIECE_BYTES)
        if not packed:
            raise BadArchive("it ends too early")
        try:
            unpacked = self._inflate.decompress(packed, PIECE_BYTES)
        except zlib.error as error:
            raise BadArchive(f"it is damaged: {error}") from error
        self._budget.take_bytes(len(unpacked))
        self._ready += unpacked
        return True
