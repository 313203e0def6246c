"""Find the last Python traceback in a stream of any length, keeping at most 64 KiB of it."""

from __future__ import annotations

_HEADER = b"Traceback (most recent call last):"
_GROUP_HEADER = b"+ Exception Group Traceback (most recent call last):"
_LINE_LIMIT = 8 * 1024  # the message of an exception may be of any length
_BODY_LIMIT = 64 * 1024 - _LINE_LIMIT


class TracebackScan:
    """Fed with stderr. A traceback is its header, indented lines, and the first line that is not indented.

    The header of an exception group is itself indented, and all its lines are.
    """

    def __init__(self) -> None:
        self._line = b""  # the beginning of the line that has not ended yet
        self._open: list[bytes] | None = None
        self._open_size = 0
        self._is_group = False
        self._last: list[bytes] | None = None
        self._text_after = False

    @property
    def text(self) -> str | None:
        """The last traceback that was complete."""
        return None if self._last is None else b"\n".join(self._last).decode("utf-8", "replace")

    @property
    def ends_stream(self) -> bool:
        """Whether nothing but blank lines came after it."""
        return self._last is not None and not self._text_after

    def feed(self, data: bytes) -> None:
        data = self._line + data
        start = 0
        while True:
            if self._open is None:
                start = self._skip_plain_lines(data, start)
            newline = data.find(b"\n", start)
            if newline < 0:
                break
            self._take(data[start : min(newline, start + _LINE_LIMIT)])
            start = newline + 1
        self._line = data[start : start + _LINE_LIMIT]

    def finish(self) -> None:
        if self._line:
            self._take(self._line)
            self._line = b""
        if self._open is not None:
            self._close(complete=self._is_group)

    def _skip_plain_lines(self, data: bytes, start: int) -> int:
        """Jump to the line that may be a header, else to the line that has not ended."""
        found = data.find(_HEADER, start)
        end = data.rfind(b"\n", start, found if found >= 0 else len(data)) + 1 or start
        if not self._text_after and data[start:end].strip():
            self._text_after = True
        return end

    def _take(self, line: bytes) -> None:
        if line.rstrip() == _HEADER or line.strip() == _GROUP_HEADER:
            self._begin(line)
        elif self._open is None:
            self._text_after = self._text_after or bool(line.strip())
        elif line[:1] in b" \t":
            self._keep(line)
        elif self._is_group:
            self._close(complete=True)
            self._take(line)
        else:
            self._open.append(line)
            self._close(complete=True)

    def _begin(self, line: bytes) -> None:
        self._open = [line]
        self._open_size = len(line)
        self._is_group = line[:1] == b" "

    def _keep(self, line: bytes) -> None:
        assert self._open is not None
        if self._open_size + len(line) < _BODY_LIMIT:
            self._open.append(line)
            self._open_size += len(line) + 1

    def _close(self, complete: bool) -> None:
        if complete:
            self._last = self._open
        self._text_after = not complete
        self._open = None
