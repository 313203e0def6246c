"""Cuts a JSON text in bytes into the ranges of its members and elements, each of them checked.

Values of up to 64 KiB are checked by the C scanner of `json` and dropped; larger ones, and those where that
scanner is less strict than we are, by `jsontokens`, which also finds the words for what is wrong.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator

from silkmill.protocol.jsontokens import MAX_DEPTH, JsonError, Keys, skip_key, skip_space, skip_value

TYPE_CHECKING = False  # importing typing would cost every runner half a megabyte
if TYPE_CHECKING:
    from typing import NoReturn

WINDOW = 64 * 1024

OPEN_OBJECT, CLOSE_OBJECT, OPEN_LIST, CLOSE_LIST, COMMA = b"{}[],"

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def _refuse_duplicates(pairs: list[tuple[str, object]]) -> None:
    if len(dict(pairs)) != len(pairs):
        raise JsonError("duplicate key")


def _refuse_constant(name: str) -> NoReturn:
    raise JsonError(f"{name} is not JSON")


# Digits stay text: an integer of 6,000 digits costs nothing and meets no limit of `int`.
scan_small = json.JSONDecoder(
    object_pairs_hook=_refuse_duplicates, parse_int=str, parse_constant=_refuse_constant
).raw_decode


def too_deep(data: bytes, start: int, end: int) -> bool:
    """Whether a valid value may nest deeper than `MAX_DEPTH` (cheap; a no is sure, a yes is not)."""
    if end - start <= 2 * MAX_DEPTH:
        return False
    return data.count(b"{", start, end) + data.count(b"[", start, end) > MAX_DEPTH


class Scanner:
    """A cursor in one JSON text, `data[start:end]`. Every method raises `JsonError` where it is not valid."""

    def __init__(self, data: bytes, start: int, end: int) -> None:
        self._data, self._end = data, end
        self._window, self._window_start, self._window_end = "", start, start
        self._exact = _needs_exact_scan(data, start, end)
        self.position = skip_space(data, start, end)

    def peek(self) -> int:
        """The byte at the cursor."""
        if self.position >= self._end:
            raise JsonError("it ends too early")
        return self._data[self.position]

    def members(self) -> Iterator[bytes]:
        """Goes through the object at the cursor; yields each key: the bytes between its quotes.

        The cursor is then on its value; the caller steps over that before it asks for the next key.
        """
        keys = Keys()
        more = self._open(OPEN_OBJECT, CLOSE_OBJECT)
        while more:
            after, key = skip_key(self._data, self.position, self._end, keys)
            self._move(after)
            yield key
            more = self._more(CLOSE_OBJECT)
        keys.check()

    def elements(self) -> Iterator[tuple[int, int]]:
        """Goes through the list at the cursor; yields start and end of each element."""
        more = self._open(OPEN_LIST, CLOSE_LIST)
        while more:
            yield self.skip()
            more = self._more(CLOSE_LIST)

    def skip(self) -> tuple[int, int]:
        """Steps over the value at the cursor; its start and end."""
        start = self.position
        end = self._value_by_c(start) or skip_value(self._data, start, self._end)
        self._move(end)
        return start, end

    def finish(self) -> None:
        if self.position != self._end:
            raise JsonError("text after its end")

    def _move(self, position: int) -> None:
        self.position = skip_space(self._data, position, self._end)

    def _take(self, byte: int) -> bool:
        if self.peek() != byte:
            return False
        self._move(self.position + 1)
        return True

    def _open(self, opening: int, closing: int) -> bool:
        """Steps into a container; whether anything is in it."""
        if not self._take(opening):
            raise JsonError("an opening bracket is missing")
        return not self._take(closing)

    def _more(self, closing: int) -> bool:
        """Steps over a comma (True) or out of the container (False)."""
        if self._take(COMMA):
            return True
        if not self._take(closing):
            raise JsonError("a comma or a closing bracket is missing")
        return False

    def _value_by_c(self, start: int) -> int:
        """The position after the value at `start`, 0 if the C scanner cannot tell."""
        if self._exact:
            return 0
        end = self._scan_window(start)
        if end == 0 and start != self._window_start:
            self._move_window(start)
            end = self._scan_window(start)
        return 0 if too_deep(self._data, start, end) else end

    def _scan_window(self, start: int) -> int:
        if not self._window_start <= start < self._window_end:
            return 0
        try:
            _, end = scan_small(self._window, start - self._window_start)
        except (ValueError, RecursionError):
            return 0
        end += self._window_start
        # A number may go on behind the window.
        return 0 if end == self._window_end < self._end else end

    def _move_window(self, start: int) -> None:
        self._window_start, self._window_end = start, min(start + WINDOW, self._end)
        self._window = self._data[start : self._window_end].decode("latin-1")


def _needs_exact_scan(data: bytes, start: int, end: int) -> bool:
    r"""Whether the C scanner could be wrong about this text, read as Latin-1 so that offsets stay offsets.

    It takes lone surrogates, and beside letters outside of ASCII it would mistake `\u00e9` for other bytes.
    """
    ascii_only = _check_utf8(data, start, end)
    if data.find(b"\\u", start, end) < 0:
        return False
    return not ascii_only or _SURROGATE.search(data, start, end) is not None


def _check_utf8(data: bytes, start: int, end: int) -> bool:
    """Refuses what is not UTF-8; whether all of it is ASCII."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    ascii_only = True
    try:
        for position in range(start, end, WINDOW):
            piece = data[position : min(position + WINDOW, end)]
            ascii_only = ascii_only and piece.isascii()
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise JsonError("not UTF-8") from None
    return ascii_only
