"""The bytes a decoder has at hand: what is given out, what is text so far, where a frame may begin."""

import re

from silkmill.protocol.ipcframe import LOOKS_LIKE_A_FRAME
from silkmill.protocol.ipcparts import Part, Text

# At most 1,000 blanks each, or a flood of blanks would be held and looked at again and again.
INDENT = rb"[ \t]{0,1000}"
_OPENING = INDENT + rb"\{[ \t\r]{0,1000}"
OPENS_LIKE_A_FRAME = re.compile(_OPENING + rb'"').match
_MAY_BECOME_A_FRAME = re.compile(_OPENING + rb'(?:"|\Z)|' + INDENT + rb"\Z").match


class Buffer:
    """Cuts text and messages out of one stretch of the stream, in order.

    Everything before `text_from` is given out; up to `position` it is known to be text. What is rare is
    looked for once in the whole stretch and remembered, so a hostile mixture costs no more than its size.
    """

    def __init__(self, data: bytes, mark: bytes, mid_line: bool, longest: int) -> None:
        self.data, self.length = data, len(data)
        self.text_from = self.position = 0
        self.parts: list[Part] = []
        # Whether the line at `text_from` has begun before, or is known to be text: it can be no plain frame.
        self.mid_line = mid_line
        self._mark, self._longest = mark, longest
        self._last_newline = data.rfind(b"\n")
        self._next = {b"\x1e": -1, b'"type"': -1, b'"ipc"': -1}
        self._last_mark = data.rfind(mark) if self.next_mark() < self.length else -1

    def give_text(self, end: int) -> None:
        if end > self.text_from:
            self.parts.append(Text(self.data[self.text_from : end]))
            self.mid_line = self.data[end - 1] != 0x0A
            self.text_from = end

    def drop(self, end: int) -> None:
        """Leaves out what stood for a message; the line before it goes on behind it."""
        self.text_from = self.position = end

    def next_mark(self) -> int:
        r"""Where the next \x1e is, of whatever frame; the length if there is none."""
        return self._find(b"\x1e", self.position)

    def next_line(self, mark: int) -> tuple[int, int] | None:
        """The next line before `mark` that must be examined, without its newline.

        That is one that looks like a plain frame, or the unfinished last one if it may become one.
        """
        hint = self._hint(self.position)
        while hint < mark:
            end = self.data.find(b"\n", hint)
            if end < 0:
                break
            start = self._line_start(hint)
            if self.position <= start and self._is_candidate(start, end):
                return start, end
            hint = self._hint(end + 1)
        return self._unfinished_line(mark)

    def _unfinished_line(self, mark: int) -> tuple[int, int] | None:
        start = self._last_newline + 1
        if start <= self.text_from:
            start = self.length if self.mid_line else self.text_from
        if not self.position <= start < mark or not _MAY_BECOME_A_FRAME(self.data, start):
            return None
        if self._last_mark >= start and self._holds_mark(start, self.length):
            return None
        return start, self.length

    def _is_candidate(self, start: int, end: int) -> bool:
        return bool(
            OPENS_LIKE_A_FRAME(self.data, start, end)
            and LOOKS_LIKE_A_FRAME.search(self.data, start, end)
            and not self._holds_mark(start, end)
        )

    def _holds_mark(self, start: int, end: int) -> bool:
        """Whether a frame with the nonce begins in this line before that is too long to be a frame itself."""
        return self.data.find(self._mark, start, min(end, start + self._longest + 1)) >= 0

    def _line_start(self, position: int) -> int:
        """Where the line around `position` begins, -1 if it has begun before."""
        newline = self.data.rfind(b"\n", self.text_from, position)
        if newline < 0:
            return -1 if self.mid_line else self.text_from
        return newline + 1

    def _hint(self, position: int) -> int:
        return min(self._find(b'"type"', position), self._find(b'"ipc"', position))

    def _find(self, needle: bytes, position: int) -> int:
        if self._next[needle] < position:
            found = self.data.find(needle, position)
            self._next[needle] = self.length if found < 0 else found
        return self._next[needle]
