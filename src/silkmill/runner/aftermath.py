"""What follows a traceback on stderr: the rest of its message, or the words of a spider that lives on.

A message may have any lines, and notes come behind it; nothing marks their end. But Python prints an
uncaught exception as its very last act, in one burst. So what tells that a spider went on is: a log record,
a progress bar, a pause, more lines than a message has, or any line at all where the traceback itself was
logged. Who prints a traceback and one plain line, and exits at once, cannot be told from who died of it.
"""

from __future__ import annotations

import re

_LINES = 500
_PAUSE_NS = 2_000_000_000
_LEVEL = rb"(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL)"
_RECORD = re.compile(
    rb"\W*\d{4}-\d\d-\d\d[T ]"  # a date, or a time, or a level begins it
    rb"|\W*\d\d:\d\d:\d\d\b"
    rb"|\W*" + _LEVEL + rb"\b(?:\W|$)"
    rb"|.{0,200}?[-:|\[]\s*" + _LEVEL + rb"\s*[-:|\]]"  # root - INFO - text
    rb'|\{.*"(?:level|levelname|severity|timestamp)"'
)
_ERROR_RECORD = re.compile(
    rb'.*(?:\b(?:ERROR|CRITICAL|FATAL)\b|\[(?:error|critical)\b|"level(?:name)?": ?"(?:error|critical))'
)
_IGNORED = b"Exception ignored "  # Python says so of what __del__ raised, and prints it with a traceback
_UNCLOSED = re.compile(rb".*\bUnclosed (?:client session|connect(?:ion|or))\b")  # aiohttp's, of a dead spider


class Aftermath:
    """Fed with the lines behind a traceback whose last line came at `since_ns`."""

    def __init__(self, line_before: bytes, since_ns: int, room: int) -> None:
        self.went_on = False
        self.message: list[bytes] = []
        self._logged = _is_record(line_before) and bool(_ERROR_RECORD.match(line_before))
        self._since_ns = since_ns
        self._room = room
        self._lines = 0
        self._python_cleans_up = False

    def take(self, line: bytes, now_ns: int) -> None:
        self._lines += 1
        if is_ignored(line) or _UNCLOSED.match(line):
            self._python_cleans_up = True
        elif self._shows_life(line, now_ns):
            self.went_on = True
        elif not self._python_cleans_up and len(line) < self._room:
            self.message.append(line)
            self._room -= len(line) + 1

    def _shows_life(self, line: bytes, now_ns: int) -> bool:
        if not line.strip():
            return False
        if self._lines > _LINES or b"\r" in line.rstrip(b"\r") or _is_record(line):
            return True
        return not self._python_cleans_up and (self._logged or now_ns - self._since_ns > _PAUSE_NS)


def is_ignored(line_before: bytes) -> bool:
    """Whether a traceback behind this line is one that did not end anything."""
    return line_before.startswith(_IGNORED)


def _is_record(line: bytes) -> bool:
    return _RECORD.match(line) is not None
