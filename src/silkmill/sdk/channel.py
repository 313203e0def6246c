r"""Writes frames to stdout so that each arrives whole, however many threads and processes write at once.

A frame is `\x1e<nonce> <json>\n`. A write to a pipe is whole only up to 4,096 bytes, so a longer frame goes
out in pieces, each a write of its own: `\x1e<nonce> +<id> <beginning>\n` …, `\x1e<nonce> -<id> <rest>\n`.
What others print meanwhile falls between pieces and harms nothing. Frames keep out of each other by a POSIX
record lock on the pipe itself: it needs no file, belongs to one process (a fork does not inherit it) and ends
with that process, killed or not. Without a nonce, run by hand, frames are plain lines on `sys.stdout`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import sys
import threading
import time
from collections import deque
from contextlib import contextmanager, suppress
from typing import Deque, Iterator

MAX_FRAME = 8 * 1024 * 1024
_ATOMIC = 4096  # PIPE_BUF of Linux
_STDOUT = 1


class Channel:
    """One per process; `nonce` empty means that nobody listens but a person."""

    def __init__(self, nonce: str) -> None:
        self._mark = b"\x1e" + nonce.encode("ascii") + b" " if nonce else b""
        self._count = 0
        self._start_afresh()
        os.register_at_fork(after_in_child=self._start_afresh)

    def _start_afresh(self) -> None:
        """Also in a forked child, where another thread may have held the lock for ever."""
        self._lock = threading.RLock()
        self._writing = False
        self._waiting: Deque[bytes] = deque()

    def send(self, kind: str, payload: bytes) -> None:
        """Sends one message; `payload` is JSON.

        Raises `ValueError` for a frame that is too large, `OSError` if stdout is gone.
        """
        frame = b'{"type":"' + kind.encode("ascii") + b'","payload":' + payload + b"}"
        if len(frame) > MAX_FRAME:
            raise ValueError("%s of %d bytes is too large: a frame is at most 8 MiB" % (kind, len(payload)))
        if not self._mark:
            _show(frame)
            return
        with self._lock:
            self._waiting.append(frame)
            # A signal handler may come here while its own thread writes: the frame at work ends first.
            if not self._writing:
                self._write_waiting()

    def _write_waiting(self) -> None:
        self._writing = True
        try:
            _flush_text()
            with _stdout_lock():
                while self._waiting:
                    for piece in self._cut(self._waiting.popleft()):
                        _write(piece)
        finally:
            self._writing = False

    def _cut(self, frame: bytes) -> Iterator[bytes]:
        if len(self._mark) + len(frame) < _ATOMIC:
            yield self._mark + frame + b"\n"
            return
        self._count += 1
        name = b"%x-%x " % (os.getpid(), self._count)
        size = _ATOMIC - len(self._mark) - len(name) - 2
        for start in range(0, len(frame), size):
            sign = b"+" if start + size < len(frame) else b"-"
            yield self._mark + sign + name + frame[start : start + size] + b"\n"


@contextmanager
def _stdout_lock() -> Iterator[None]:
    _acquire()
    try:
        yield
    finally:
        with suppress(OSError):
            fcntl.lockf(_STDOUT, fcntl.LOCK_UN)


def _acquire() -> None:
    """Waits for the lock. Where stdout has none we go without: mixed pieces are noticed by their ids."""
    while True:
        try:
            fcntl.lockf(_STDOUT, fcntl.LOCK_EX)
            return
        except OSError as error:
            # The kernel may see a deadlock where a thread of the holder waits for another file's lock.
            if error.errno != errno.EDEADLK:
                return
        time.sleep(0.001)


def _write(data: bytes) -> None:
    while data:
        try:
            data = data[os.write(_STDOUT, data) :]
        except BlockingIOError:
            # Somebody who shares the pipe has made it non-blocking.
            select.select([], [_STDOUT], [])


def _flush_text() -> None:
    """Text printed before goes out before; a handler that interrupted a `print` cannot flush."""
    with suppress(RuntimeError, ValueError, AttributeError):
        sys.stdout.flush()


def _show(frame: bytes) -> None:
    line = frame + b"\n"
    raw = getattr(sys.stdout, "buffer", None)
    _flush_text()
    if raw is None:
        sys.stdout.write(line.decode("utf-8"))
    else:
        raw.write(line)
    _flush_text()
