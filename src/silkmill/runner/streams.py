"""The spider's output on its way from the pipes to the spool; reading stops while the spool is full."""

from __future__ import annotations

import time
from selectors import EVENT_READ

from silkmill.runner.clock import NEVER
from silkmill.runner.pipes import read_available

TYPE_CHECKING = False  # the typing module would cost every runner half a megabyte
if TYPE_CHECKING:
    from collections.abc import Iterator
    from selectors import BaseSelector

    from silkmill.runner.pipes import Pipes
    from silkmill.runner.recorder import Recorder
    from silkmill.runner.spool import Piece, Spool

_LOOK_AGAIN_SECONDS = 0.02
_DRAIN_BYTES = 2 * 1024 * 1024  # both pipes hold no more: what comes beyond is not from the spider's tree


class Streams:
    """Call `tick` often; `paused` says that the spider is being kept from writing."""

    def __init__(self, pipes: Pipes, recorder: Recorder, spool: Spool, selector: BaseSelector) -> None:
        self.pipes = pipes
        self.recorder = recorder
        self.spool = spool
        self.paused = False
        self.heard = False  # since the owner last cleared it
        self._selector = selector
        self._reading: set[int] = set()
        self._drained_bytes = 0
        self._look_at = NEVER

    def open(self) -> None:
        """The spider has its ends of the pipes: close ours of them and begin to read."""
        self.pipes.close_child_ends()
        for descriptor in (self.pipes.stdout, self.pipes.stderr):
            self._selector.register(descriptor, EVENT_READ, self._on_readable)
            self._reading.add(descriptor)

    @property
    def ended(self) -> bool:
        """Both pipes came to their end."""
        return self.pipes.stdout < 0 and self.pipes.stderr < 0

    @property
    def due_at(self) -> float:
        return min(self.spool.retry_at, self._look_at)

    def tick(self, now: float, reserve: int) -> None:
        """Write what waits; read or not, as the spool's limit and `reserve` bytes beyond it allow."""
        self.spool.pump(now)
        full = self.spool.is_full(reserve)
        self._look_at = now + _LOOK_AGAIN_SECONDS if full else NEVER
        self.paused = full or self.spool.stuck
        if self.paused:
            self._pause_reading()
        else:
            self._resume_reading()

    def drain(self, now: float) -> bool:
        """Read what a dead spider left in the pipes, limit or not. False: the disk is full, call again."""
        self._pause_reading()
        for descriptor in (self.pipes.stdout, self.pipes.stderr):
            while descriptor >= 0 and not self.spool.stuck and self._drained_bytes < _DRAIN_BYTES:
                size = self._read(descriptor, now)
                self._drained_bytes += size
                if size == 0:
                    break
        return not self.spool.stuck

    def note(self, pieces: Iterator[Piece], now: float) -> None:
        """Queue lines of our own behind what was read."""
        self.spool.add(pieces)
        self.spool.pump(now)

    def end(self, now: float) -> bool:
        """Nothing more will come: give out what is held back, and the counts."""
        time_ns = time.time_ns()
        self.note(self.recorder.end_of_stdout(time_ns), now)
        self.note(self.recorder.end_of_stderr(time_ns), now)
        self.note(self.recorder.closing_notes(time_ns), now)
        return True

    def close(self) -> None:
        self._pause_reading()
        self.pipes.close()
        self.spool.close()

    def _on_readable(self, descriptor: int, now: float) -> None:
        if not self.spool.stuck:
            self._read(descriptor, now)

    def _read(self, descriptor: int, now: float) -> int:
        """One read; returns its size, 0 at the end and when there is nothing."""
        data = read_available(descriptor)
        if data:
            self.heard = True
            take = self.recorder.stdout if descriptor == self.pipes.stdout else self.recorder.stderr
            self.spool.add(take(data, time.time_ns()))
            self.spool.pump(now)
        elif data is not None:
            self._end_pipe(descriptor)
        return len(data or b"")

    def _end_pipe(self, descriptor: int) -> None:
        if descriptor in self._reading:
            self._selector.unregister(descriptor)
            self._reading.discard(descriptor)
        self.pipes.end(descriptor)

    def _pause_reading(self) -> None:
        for descriptor in self._reading:
            self._selector.unregister(descriptor)
        self._reading.clear()

    def _resume_reading(self) -> None:
        for descriptor in (self.pipes.stdout, self.pipes.stderr):
            if descriptor >= 0 and descriptor not in self._reading:
                self._selector.register(descriptor, EVENT_READ, self._on_readable)
                self._reading.add(descriptor)
