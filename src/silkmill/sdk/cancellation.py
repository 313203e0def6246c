"""Hears that the task is to be cancelled: a line `{"type":"CANCEL",…}` on stdin.

Nothing reads stdin until the spider first asks, so one that reads it itself and does not ask is left alone
(it then sees that line among its input). Only the process that imported the SDK first listens: two readers of
one pipe would take each other's bytes. It tells its workers itself, say by a `multiprocessing.Event`.
"""

from __future__ import annotations

import json
import os
import select
import stat
import sys
import threading
import traceback
from typing import Callable, List, Optional

_STDIN = 0
_READER = "SILKMILL_IPC_READER"


class Cancellation:
    """Whether a cancel was asked for. `listens` is false when nobody could ask: then it never comes."""

    def __init__(self, listens: bool) -> None:
        self._listens = listens and _claim_stdin()
        self._came = threading.Event()
        self._callbacks: List[Callable[[], object]] = []
        self._start_afresh()
        os.register_at_fork(after_in_child=self._stop_listening)

    def _start_afresh(self) -> None:
        self._lock = threading.Lock()
        self._looked = threading.Event()
        self._thread: Optional[threading.Thread] = None

    def _stop_listening(self) -> None:
        """In a forked child, which knows what its parent knew."""
        came = self._came.is_set()
        self._listens = False
        self._came = threading.Event()
        if came:
            self._came.set()
        self._start_afresh()

    def came(self) -> bool:
        self._listen()
        return self._came.is_set()

    def wait(self, timeout: Optional[float]) -> bool:
        self._listen()
        return self._came.wait(timeout)

    def call(self, callback: Callable[[], object]) -> None:
        """Calls it once, from the listening thread, or here and now if the cancel has come."""
        self._listen()
        with self._lock:
            late = self._came.is_set()
            if not late:
                self._callbacks.append(callback)
        if late:
            _call(callback)

    def _listen(self) -> None:
        """Starts to listen and waits for the first look: a cancel that is there already is seen at once."""
        if not self._listens:
            return
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._read_stdin, daemon=True)
                self._thread.start()
        self._looked.wait()

    def _read_stdin(self) -> None:
        rest = b""
        try:
            while not self._came.is_set():
                if not select.select([_STDIN], [], [], 0)[0]:
                    self._looked.set()
                    select.select([_STDIN], [], [])
                data = os.read(_STDIN, 4096)
                if not data:
                    return
                *lines, rest = (rest + data).split(b"\n")
                if any(map(_is_cancel, lines)):
                    self._note()
        except (OSError, ValueError):
            return  # stdin was closed
        finally:
            self._looked.set()

    def _note(self) -> None:
        with self._lock:
            self._came.set()
            callbacks, self._callbacks = self._callbacks, []
        self._looked.set()
        for callback in callbacks:
            _call(callback)


def _claim_stdin() -> bool:
    """Whether this process is the first of its task here, and stdin is a pipe or socket."""
    mode = os.fstat(_STDIN).st_mode if _is_open(_STDIN) else 0
    first = os.environ.setdefault(_READER, str(os.getpid())) == str(os.getpid())
    return first and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode))


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _is_cancel(line: bytes) -> bool:
    try:
        message = json.loads(line)
    except ValueError:
        return False
    return isinstance(message, dict) and message.get("type") == "CANCEL"


def _call(callback: Callable[[], object]) -> None:
    try:
        callback()
    except Exception:
        print("an on_cancel callback failed:", file=sys.stderr)
        traceback.print_exc()
