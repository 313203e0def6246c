"""The head of an attempt's log: the engine's own lines, from before a runner has the attempt."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from silkmill.protocol.attemptdir import segment_path
from silkmill.protocol.logframe import SYSTEM, LogFramer

LIMIT_BYTES = 4 << 20


class LogHead:
    """It is kept in memory too: when a full disk undoes the preparation, the directory that is made anew gets
    the same bytes, for some of them may have been shipped. `grew(log, items, count)` hears of new ones."""

    def __init__(self, directory: Path, grew: Callable[[int, int, int], None]) -> None:
        self._path = segment_path(str(directory), "log", 0)
        self._grew = grew
        self._bytes = bytearray()
        self._full = False
        self.lines = 0

    @property
    def size(self) -> int:
        return len(self._bytes)

    def say(self, line: str) -> None:
        """Add a line."""
        self.pass_on(line.encode("utf-8", "replace").replace(b"\n", b" ") + b"\n")

    def pass_on(self, lines: bytes) -> None:
        """Add lines, each with its newline; what the disk does not take now is written later."""
        if len(self._bytes) < LIMIT_BYTES:
            self._add(lines)
        elif not self._full:
            self._full = True
            self._add(b"more of this is left out\n")

    def _add(self, lines: bytes) -> None:
        framer, now = LogFramer(SYSTEM), time.time_ns()
        self._bytes += b"".join(framer.feed(lines, now)) + framer.finish(now)
        self.lines += framer.lines
        with suppress(OSError):
            self.write()

    def write(self) -> None:
        """Bring the file up to date. Raises OSError; a repeat goes on where the disk was full."""
        if not self._bytes:
            return
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            written = os.fstat(descriptor).st_size
            while written < len(self._bytes):
                written += os.pwrite(descriptor, self._bytes[written:], written)
            self._grew(written, 0, 0)
        finally:
            os.close(descriptor)
