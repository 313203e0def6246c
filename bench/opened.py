"""Tells when a program file is opened, which is when the kernel executes it (inotify(7))."""

from __future__ import annotations

import ctypes
import os
import queue
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

IN_OPEN = 0x20
PATIENCE_SECONDS = 30.0
_libc = ctypes.CDLL(None, use_errno=True)


class Opened:
    """A thread that waits in the kernel, so that the moment is known to some hundredths of a millisecond."""

    def __init__(self, program: Path) -> None:
        self._program = program
        self._moments: queue.SimpleQueue[float] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        self._inotify = _libc.inotify_init1(os.O_CLOEXEC)
        self._watch = _libc.inotify_add_watch(self._inotify, os.fsencode(self._program), IN_OPEN)
        if self._watch < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(self._program))
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _libc.inotify_rm_watch(self._inotify, self._watch)  # comes as a last event, which ends the thread
        self._thread.join()
        os.close(self._inotify)

    def forget(self) -> None:
        while not self._moments.empty():
            self._moments.get()

    def wait(self) -> float:
        """The moment of the next opening, by `time.perf_counter`."""
        return self._moments.get(timeout=PATIENCE_SECONDS)

    def _read(self) -> None:
        while True:
            event = os.read(self._inotify, 4096)
            moment = time.perf_counter()
            if not int.from_bytes(event[4:8], "little") & IN_OPEN:
                return
            self._moments.put(moment)
