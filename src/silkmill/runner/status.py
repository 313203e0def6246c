"""status.json: what a spider says about itself while it runs, replaced at most twice a second."""

from __future__ import annotations

import os
import time

from silkmill.protocol.attemptdir import STATUS_FILE, encode, replace_file
from silkmill.protocol.logframe import rfc3339
from silkmill.runner.clock import NEVER

TYPE_CHECKING = False  # the typing module would cost every runner half a megabyte
if TYPE_CHECKING:
    from silkmill.runner.recorder import Recorder

_PERIOD_SECONDS = 0.5


class StatusFile:
    def __init__(self, directory: str, recorder: Recorder) -> None:
        self._path = os.path.join(directory, STATUS_FILE)
        self._recorder = recorder
        self._written = self._content()
        self._next_at = 0.0

    @property
    def due_at(self) -> float:
        return self._next_at if self._content() != self._written else NEVER

    def write_if_due(self, now: float) -> None:
        if now >= self.due_at:
            self._next_at = now + _PERIOD_SECONDS
            self.write()

    def write(self) -> None:
        """A full disk loses a status, which is replaced anyway; never the attempt."""
        content = self._content()
        if content == self._written:
            return
        status, progress, errors, bad_frames = content
        text = b'{"status":%b,"progress":%b,"errors":%d,"bad_frames":%d,"at":"%b"}'
        at = rfc3339(time.time_ns()).encode()
        try:
            replace_file(self._path, text % (status or b"null", encode(progress), errors, bad_frames, at))
        except OSError:
            return
        self._written = content

    def _content(self) -> tuple[bytes | None, float | None, int, int]:
        said = self._recorder
        return said.status, said.progress, said.errors, said.bad_frames
