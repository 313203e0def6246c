"""status.json: what a spider says about itself and uses while it runs, replaced at most twice a second."""

from __future__ import annotations

import os
import time

from silkmill.protocol.attemptdir import STATUS_FILE, encode, replace_file
from silkmill.protocol.logframe import rfc3339
from silkmill.runner.clock import NEVER

TYPE_CHECKING = False  # the typing module would cost every runner half a megabyte
if TYPE_CHECKING:
    from typing import Any

    from silkmill.runner.recorder import Recorder
    from silkmill.runner.usage import TreeUsage

_PERIOD_SECONDS = 0.5


class StatusFile:
    """Replaced when the spider says something of itself, and when what it uses or gives was found to have
    changed: a task that is over before the first look leaves no file, unless it spoke."""

    def __init__(self, directory: str, recorder: Recorder, usage: TreeUsage) -> None:
        self._path = os.path.join(directory, STATUS_FILE)
        self._recorder = recorder
        self._usage = usage
        self._given = 0, 0  # lines of log and items at the last look
        self._written = self._content()
        self._next_at = 0.0

    @property
    def due_at(self) -> float:
        return min(self._usage.due_at, self._next_at if self._content() != self._written else NEVER)

    def write_if_due(self, now: float) -> None:
        if self._usage.look_if_due(now):
            self._given = self._recorder.log_lines, self._recorder.items_taken
        if now >= self._next_at and self._content() != self._written:
            self._next_at = now + _PERIOD_SECONDS
            self.write()

    def write(self) -> None:
        """A full disk loses a status, which is replaced anyway; never the attempt."""
        content = self._content()
        if content == self._written:
            return
        try:
            replace_file(self._path, self._encoded())
        except OSError:
            return
        self._written = content

    def _content(self) -> tuple[Any, ...]:
        """What calls for a new file when it changes."""
        said = self._recorder
        return said.status, said.progress, said.errors, said.bad_frames, self._given, self._usage.latest

    def _encoded(self) -> bytes:
        """The status is JSON already."""
        said = self._recorder
        rest = {
            "progress": said.progress,
            "errors": said.errors,
            "bad_frames": said.bad_frames,
            "log_lines": said.log_lines,
            "items": said.items_taken,
            "usage": self._usage.latest,
            "at": rfc3339(time.time_ns()),
        }
        return b'{"status":%b,%b' % (said.status or b"null", encode(rest)[1:])
