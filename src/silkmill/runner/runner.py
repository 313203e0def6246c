"""The runner's loop: one thread, one selector, one attempt at a time."""

from __future__ import annotations

import os
import selectors
import signal

from silkmill.protocol.attemptdir import read_spec
from silkmill.runner.attempt import Attempt
from silkmill.runner.clock import NEVER
from silkmill.runner.clock import now as clock_now
from silkmill.runner.containment import Containment
from silkmill.runner.link import Link
from silkmill.runner.reaper import Reaper
from silkmill.runner.slot import PROTOCOL_VERSION, SlotFile

TYPE_CHECKING = False  # the typing module would cost every runner half a megabyte
if TYPE_CHECKING:
    from typing import Any

_IDLE_SECONDS = 10.0  # without an agent
_TASKS = 1000  # then a fresh process takes over: nothing can pile up
_LOOK_SECONDS = 0.5  # the selector's clock stands still while the machine sleeps, ours does not


class Runner:
    def __init__(self, slot_directory: str, socket_path: str, cgroup_base: str) -> None:
        self._selector = selectors.DefaultSelector()
        self._reaper = Reaper()
        self._selector.register(self._reaper.descriptor, selectors.EVENT_READ, self._on_child)
        self._containment = Containment(cgroup_base, os.path.basename(slot_directory))
        self._slot = SlotFile(slot_directory, socket_path, self._containment.group)
        self._link = Link(socket_path, self._selector, self._on_message)
        self._directory: str | None = None
        self._attempt: Attempt | None = None
        self._tasks_left = _TASKS
        self._retiring = False
        self._alone_since = clock_now()
        signal.signal(signal.SIGTERM, lambda *_: self._terminate())

    def run(self) -> None:
        """Serve until retired or left alone."""
        while not self._may_leave():
            for key, _ in self._selector.select(self._wait_seconds()):
                key.data(key.fd, clock_now())
            self._tick()
            self._link.flush()
        self._slot.remove()
        self._link.close()
        self._containment.remove()

    def _may_leave(self) -> bool:
        if self._attempt is not None:
            return False
        return self._retiring or clock_now() >= self._alone_since + _IDLE_SECONDS

    def _wait_seconds(self) -> float:
        now = clock_now()
        due_at = self._attempt.due_at if self._attempt else NEVER
        return max(0.0, min(due_at - now, _LOOK_SECONDS))

    def _tick(self) -> None:
        now = clock_now()
        if self._attempt is not None:
            self._attempt.tick(now)
            if self._attempt.done:
                self._free_slot(self._attempt)
        if self._attempt is not None or self._link.connected:
            self._alone_since = now

    def _on_child(self, descriptor: int, now: float) -> None:
        for pid, status, usage in self._reaper.reap():
            if self._attempt is not None:
                self._attempt.reaped(pid, status, usage)

    def _terminate(self) -> None:
        """With a spider the agent decides: a runner that dies takes its spider along."""
        if self._attempt is None:
            self._retiring = True

    def _on_message(self, message: dict[str, Any]) -> None:
        match message:
            case {"op": "hello"}:
                self._say_hello()
            case {"op": "run", "dir": str(directory)}:
                self._start(directory)
            case {"op": "cancel"}:
                if self._attempt is not None:
                    self._attempt.cancel(bool(message.get("force")))
            case {"op": "retire"}:
                self._retiring = True

    def _say_hello(self) -> None:
        phase = self._attempt.phase if self._attempt else "idle"
        hello = {"event": "hello", "protocol": PROTOCOL_VERSION, "pid": os.getpid()}
        self._link.send(hello | {"attempt": self._directory, "phase": phase})

    def _start(self, directory: str) -> None:
        if self._attempt is not None or self._retiring:
            self._refuse(directory, "busy" if self._attempt else "retiring")
            return
        try:
            self._attempt = self._make_attempt(directory)
        except (OSError, ValueError) as error:
            self._name_attempt(None)
            self._refuse(directory, str(error))
            return
        self._directory = directory
        self._attempt.start()

    def _make_attempt(self, directory: str) -> Attempt:
        spec = read_spec(directory)
        tree = self._containment.tree(walk=spec["containment"] == "walk")
        self._slot.write(directory)
        return Attempt(directory, spec, tree, self._selector, self._announce)

    def _free_slot(self, attempt: Attempt) -> None:
        done = self._directory
        self._attempt = self._directory = None
        self._tasks_left -= 1
        self._retiring = self._retiring or self._tasks_left == 0 or not attempt.verified
        self._name_attempt(None)
        self._link.send({"event": "done", "attempt": done})

    def _name_attempt(self, directory: str | None) -> None:
        """A runner that cannot say what it holds takes no more: its file goes with it."""
        try:
            self._slot.write(directory)
        except OSError:
            self._retiring = True

    def _announce(self, event: str, fields: dict[str, Any]) -> bool:
        if event == "wrote" and self._link.congested:  # a newer one will say more
            return False
        self._link.send({"event": event, "attempt": self._directory} | fields)
        return True

    def _refuse(self, directory: str, why: str) -> None:
        self._link.send({"event": "refused", "attempt": directory, "why": why})
