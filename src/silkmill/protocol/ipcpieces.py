r"""Puts a frame together that came in pieces, so that other output may lie between them.

A write to a pipe is whole only up to 4,096 bytes; a longer frame in one go would be torn by any `print` of
another thread or process. One frame is open at a time: senders hold a lock while they send its pieces.
"""

import re
from functools import cached_property

_LONGEST_RAW = 16 * 1024 * 1024


class Pieces:
    """The pieces of the frame that is open, kept as they came so that they can be given back."""

    def __init__(self, mark: bytes) -> None:
        self._mark = mark
        self._raw = bytearray()
        self._id = b""

    # A pattern of one nonce costs more than a small spider's whole output: it is made for the first piece.
    @cached_property
    def _head(self) -> re.Pattern[bytes]:
        return re.compile(re.escape(self._mark) + rb"([+-])([0-9A-Za-z._-]{1,40}) ")

    @cached_property
    def _framing(self) -> re.Pattern[bytes]:
        return re.compile(rb"\n|" + self._head.pattern)

    def __bool__(self) -> bool:
        return bool(self._raw)

    def fits(self, raw: bytes) -> bool:
        """Whether this piece may come next: a first one if nothing is open, else one of the same id."""
        head = self._head.match(raw)
        if head is None or len(self._raw) + len(raw) > _LONGEST_RAW:
            return False
        return head[2] == self._id if self._raw else head[1] == b"+"

    def add(self, raw: bytes) -> bool:
        """Takes a piece that fits, newline included; whether it is the last of its frame."""
        head = self._head.match(raw)
        assert head is not None
        self._id = head[2]
        self._raw += raw
        return head[1] == b"-"

    def frame(self) -> bytes:
        """What the pieces say together."""
        return self._framing.sub(b"", self._raw)

    def give_back(self) -> bytes:
        """Forgets the open frame; its pieces as they came."""
        raw = bytes(self._raw)
        self._raw.clear()
        return raw
