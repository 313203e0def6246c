"""Ctrl-C while a task runs: the first cancels it, the second forces, the third leaves."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from silkmill.cli.talk import say
from silkmill.client.client import Client
from silkmill.client.errors import ClientError
from silkmill.client.server import Server

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Until a task is there to cancel, a signal leaves at once."""

    def __init__(self) -> None:
        self._count = 0
        self._target: tuple[Server, str] | None = None

    def aim(self, server: Server, task_id: str) -> None:
        self._target = server, task_id

    @contextmanager
    def handled(self) -> Iterator[None]:
        before = [signal.signal(number, self._interrupt) for number in _SIGNALS]
        try:
            yield
        finally:
            for number, handler in zip(_SIGNALS, before, strict=True):
                signal.signal(number, handler)

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        self._count += 1
        if self._target is None or self._count > 2:
            raise KeyboardInterrupt
        # In a thread: whoever was interrupted may be in the middle of a write, which cannot be entered again.
        threading.Thread(target=self._cancel, args=(*self._target, self._count == 2), daemon=True).start()

    def _cancel(self, server: Server, task_id: str, force: bool) -> None:
        """On a connection of its own: the one in use is in the middle of the log."""
        if force:
            say("killing; Ctrl-C again leaves without waiting for the end")
        else:
            say("cancelling; Ctrl-C again kills at once. `run --detach` starts a task and leaves it running")
        try:
            with Client(server) as client:
                client.cancel(task_id, force=force)
        except ClientError as error:
            say(f"the task was not cancelled: {error}")
