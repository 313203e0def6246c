"""What this process tells of its crawlers: numbers while they run, errors, and a verdict at the end."""

from __future__ import annotations

import atexit
import gc
import os
import threading
from contextlib import suppress
from typing import Any, Dict, Optional

from .. import messages
from .tally import Tally
from .verdict import verdict

_LONGEST_MESSAGE = 300  # characters
_WITH_MESSAGE = 100  # errors of a class; the rest is only counted
_MARK = "_told_to_silkmill"


class Report:
    """One per process; a forked child begins anew. Numbers go out once a second, from a thread, so that a
    callback that keeps the reactor busy for long does not make them old."""

    def __init__(self) -> None:
        self._start_afresh()
        os.register_at_fork(after_in_child=self._start_afresh)
        atexit.register(self.conclude_at_exit)

    def _start_afresh(self) -> None:
        self.tally = Tally()
        self._lock = threading.RLock()
        self._open = self._created = 0
        self._ended = threading.Event()
        self._sent: Dict[str, Any] = {}
        self._concluded = False

    def created(self) -> None:
        """A crawler was made; it may still fail before its spider opens."""
        self._created += 1

    def opened(self) -> None:
        self._open += 1
        self.tally.opened += 1
        if self._open == 1:
            self._ended = threading.Event()
            threading.Thread(target=self._tell_numbers, args=(self._ended,), daemon=True).start()

    def closed(self, reason: str) -> None:
        self._open -= 1
        self.tally.finish_reasons.append(reason)
        if not self._open:
            self._ended.set()
        self._send(self.tally.summary())

    def raised(self, exception: BaseException) -> None:
        """An exception of the project's own code."""
        if self._tell(exception):
            self.tally.exceptions[type(exception).__name__] += 1

    def failed(self, exception: BaseException, of_network: bool) -> None:
        """A request ended without a response."""
        if self._tell(exception):
            self.tally.failures[type(exception).__name__] += 1
            self.tally.network_failures += of_network

    def conclude(self) -> None:
        """Says that the crawl failed, if it did; at most once."""
        fatal = verdict(self.tally, messages.items_saved())
        if fatal is not None and not self._concluded:
            self._concluded = True
            with suppress(OSError):
                messages.error(fatal.message, fatal.error_class, fatal=True)

    def conclude_at_exit(self) -> None:
        """What failed before the reactor ran, or where none runs. Of a spider that was never opened, Twisted
        logs the exception when its Deferred is collected."""
        if self._created > self.tally.opened:
            gc.collect()
        self.conclude()

    def _tell(self, exception: BaseException) -> bool:
        """Sends an ERROR, if this exception has not been told: several places may see the same one."""
        if getattr(exception, _MARK, False):
            return False
        with suppress(Exception):
            setattr(exception, _MARK, True)
        name = type(exception).__name__
        seen = self.tally.exceptions[name] + self.tally.failures[name]
        message = _message_of(exception) if seen < _WITH_MESSAGE else ""
        if not seen:
            self.tally.first_messages[name] = message
        self.tally.errors += 1
        with suppress(OSError):  # stdout is gone; who logs an exception must not fail of it
            messages.error(message, name)
        return True

    def _tell_numbers(self, ended: threading.Event) -> None:
        with suppress(OSError):
            while not ended.wait(1):
                self._send(self.tally.numbers(), unless=ended)

    def _send(self, fields: Dict[str, Any], unless: Optional[threading.Event] = None) -> None:
        with self._lock:
            if fields != self._sent and not (unless and unless.is_set()):
                self._sent = fields
                messages.status(**fields)


def _message_of(exception: BaseException) -> str:
    try:
        return str(exception)[:_LONGEST_MESSAGE]
    except Exception:
        return ""


report = Report()
