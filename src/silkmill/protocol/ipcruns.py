"""The short way for the common frame: one small item on a line, cut out by two patterns and one C scan.

It takes only what the long way (`ipcframe`) would take too, and leaves everything else to it.
"""

import re
from functools import cached_property

from silkmill.protocol.ipcbuffer import INDENT
from silkmill.protocol.jsonscan import scan_small, too_deep

_LARGEST_WINDOW = 256 * 1024
_LONGEST_LINE = 64 * 1024

_HEAD = (
    rb'\{[ \t]*"type"[ \t]*:[ \t]*"(?:INSERT_DATA|(data))"[ \t]*,'
    rb'[ \t]*"payload"[ \t]*:[ \t]*(\[[ \t]*)?(?=\{)'
)
_NEXT_ELEMENT = re.compile(rb"[ \t\r]*(?:,[ \t\r]*(?=\{)|(\]))").match
_TAIL = re.compile(rb'[ \t\r]*(,[ \t\r]*"ipc"[ \t\r]*:[ \t\r]*true[ \t\r]*)?\}[ \t\r]*\n').match
_LONE_SURROGATE = re.compile(
    rb"\\u[dD](?:[89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..\\u[dD])[c-fC-F])", re.DOTALL
).search


class ItemRuns:
    """Reads runs of such frames; `mark` is what each begins with: the nonce, or nothing at a line's start."""

    def __init__(self, mark: bytes) -> None:
        self._mark = mark

    @cached_property
    def _head(self) -> re.Pattern[bytes]:
        """Made for the first frame: a pattern of one nonce costs more than a small spider's whole output."""
        return re.compile((re.escape(self._mark) or INDENT) + _HEAD)

    def take(self, buffer: bytes, position: int, items: list[bytes]) -> int:
        """Appends the items of the frames that begin at `position`; the position after the last one taken."""
        head_of, text, base, last, window = self._head.match, "", position, position, 2048
        while head := head_of(buffer, position):
            start = head.end()
            newline = buffer.find(b"\n", start, position + _LONGEST_LINE)
            if newline < 0:
                break
            if newline >= last:
                base, last = position, max(position + window, newline + 1)
                text = buffer[base:last].decode("latin-1")
                window = min(2 * window, _LARGEST_WINDOW)
            taken = len(items)
            end = _cut(buffer, text, base, start, head[2] is not None, items)
            tail = _TAIL(buffer, end) if end else None
            if tail is None or tail.end() != newline + 1 or (head[1] and not tail[1]):
                del items[taken:]
                break
            position = newline + 1
        return position


def _cut(buffer: bytes, text: str, base: int, start: int, in_list: bool, items: list[bytes]) -> int:
    """Appends the object at `start`, or the list of which it is the first; the position after, 0: unsure."""
    while True:
        try:
            end = base + scan_small(text, start - base)[1]
        except (ValueError, RecursionError):
            return 0
        item = buffer[start:end]
        if _may_be_wrong(item):
            return 0
        items.append(item)
        if not in_list:
            return end
        following = _NEXT_ELEMENT(buffer, end)
        if following is None:
            return 0
        start = following.end()
        if following[1]:
            return start


def _may_be_wrong(item: bytes) -> bool:
    r"""Whether the C scan, over Latin-1, could have taken what `jsonscan` refuses (cheap; a no is sure)."""
    if too_deep(item, 0, len(item)):
        return True
    if item.isascii():
        return b"\\u" in item and (b"\\\\" in item or _LONE_SURROGATE(item) is not None)
    return b"\\u" in item or not _is_utf8(item)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
