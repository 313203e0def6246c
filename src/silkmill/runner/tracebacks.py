"""Find the last Python traceback in a stream of any length, keeping at most 64 KiB of it."""

from __future__ import annotations

from silkmill.runner.aftermath import Aftermath, is_ignored

_HEADER = b"Traceback (most recent call last):"
_GROUP_HEADER = b"+ Exception Group Traceback (most recent call last):"
_LINE_LIMIT = 8 * 1024  # the message of an exception may be of any length
_LIMIT = 64 * 1024
_BODY_LIMIT = _LIMIT - _LINE_LIMIT


class TracebackScan:
    """Fed with stderr. A traceback is its header, indented lines, the first line that is not indented, and
    what may be the rest of that line's message.

    The header of an exception group is itself indented, and its lines are, but for those of messages.
    """

    def __init__(self) -> None:
        self._line = b""  # the beginning of the line that has not ended yet
        self._before = b""  # the line before it
        self._now_ns = 0
        self._open: list[bytes] | None = None
        self._open_size = 0
        self._open_behind = b""
        self._is_group = False
        self._last: list[bytes] | None = None
        self._aftermath = Aftermath(b"", 0, 0)

    @property
    def text(self) -> str | None:
        """The last traceback that was complete."""
        if self._last is None:
            return None
        message = self._aftermath.message if self.ends_stream else []
        return b"\n".join([*self._last, *message]).decode("utf-8", "replace").rstrip("\n")

    @property
    def ends_stream(self) -> bool:
        """Whether nothing came after it that tells of a spider that went on."""
        return self._last is not None and not self._aftermath.went_on

    def feed(self, data: bytes, time_ns: int) -> None:
        """What was read at `time_ns`."""
        self._now_ns = time_ns
        data = self._line + data
        start = 0
        while True:
            if self._open is None and (self._last is None or self._aftermath.went_on):
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
        if end > start:
            begin = data.rfind(b"\n", start, end - 1) + 1 or start
            self._before = data[begin : min(end - 1, begin + _LINE_LIMIT)]
        return end

    def _take(self, line: bytes) -> None:
        if _is_header(line) and not is_ignored(self._before):
            self._begin(line)
        elif self._open is None:
            self._aftermath.take(line, self._now_ns)
        elif line[:1] in b" \t":
            self._keep(line)
        elif self._is_group:
            self._close(complete=True)
            self._aftermath.take(line, self._now_ns)
        else:
            self._open.append(line)
            self._open_size += len(line) + 1
            self._close(complete=True)
        self._before = line

    def _begin(self, line: bytes) -> None:
        self._open = [line]
        self._open_size = len(line) + 1
        self._open_behind = self._before
        self._is_group = line[:1] == b" "

    def _keep(self, line: bytes) -> None:
        assert self._open is not None
        if self._open_size + len(line) < _BODY_LIMIT:
            self._open.append(line)
            self._open_size += len(line) + 1

    def _close(self, complete: bool) -> None:
        if complete:
            self._last = self._open
            self._aftermath = Aftermath(self._open_behind, self._now_ns, _LIMIT - self._open_size)
        else:
            self._aftermath.went_on = True
        self._open = None


def _is_header(line: bytes) -> bool:
    return line.rstrip() == _HEADER or line.strip() == _GROUP_HEADER
