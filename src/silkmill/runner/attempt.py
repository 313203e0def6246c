"""One attempt: a spider from its start to its outcome, with every limit and every way to end."""

from __future__ import annotations

import time

from silkmill.protocol.logframe import rfc3339, system_line
from silkmill.runner.clock import NEVER
from silkmill.runner.clock import now as clock_now
from silkmill.runner.ending import Ending
from silkmill.runner.limits import TimeLimits
from silkmill.runner.main_process import MainProcess
from silkmill.runner.outcome import OutcomeFile, blank_outcome, closing_line, limit_text
from silkmill.runner.pipes import Pipes
from silkmill.runner.recorder import Recorder
from silkmill.runner.spawn import spawn
from silkmill.runner.spawn_error import SpawnError
from silkmill.runner.spool import RESERVE_BYTES, RETRY_SECONDS, Spool
from silkmill.runner.status import StatusFile
from silkmill.runner.stopping import ASK_SECONDS, Stopping
from silkmill.runner.streams import Streams

TYPE_CHECKING = False  # the typing module would cost every runner half a megabyte
if TYPE_CHECKING:
    from collections.abc import Callable
    from resource import struct_rusage
    from selectors import BaseSelector
    from typing import Any

    from silkmill.protocol.attemptdir import Spec
    from silkmill.runner.containment import ProcessTree

    Announce = Callable[[str, dict[str, Any]], bool]

_CANCEL_MESSAGE = b'{"type":"CANCEL","payload":{"grace_seconds":%d}}\n' % ASK_SECONDS
_ANNOUNCE_SECONDS = 0.01


class Attempt:
    """Its owner calls `start`, then `reaped` for every dead child and `tick` until `done`.

    `announce(event, fields)` tells the agent; False: not now. Making one raises OSError when the directory
    has no room for an outcome, ValueError for a bad nonce; nothing was started then.
    """

    def __init__(
        self, directory: str, spec: Spec, tree: ProcessTree, selector: BaseSelector, announce: Announce
    ) -> None:
        self.done = False
        self._recorder = Recorder(spec)
        self._outcome_file = OutcomeFile(directory)
        self._pipes = self._open_pipes(spec)
        self._spool = Spool(directory, spec["limits"]["spool"])
        self._streams = Streams(self._pipes, self._recorder, self._spool, selector)
        self._spec = spec
        self._tree = tree
        self._announce = announce
        self._outcome = blank_outcome()
        self._status = StatusFile(directory, self._recorder)
        self._limits = TimeLimits(spec["limits"]["runtime"], spec["limits"]["stall"], clock_now())
        self._stopping = Stopping(spec["limits"]["grace"])
        self._ending = Ending(tree)
        self._process: MainProcess | None = None
        self._closed = False
        self._write_outcome_at = 0.0
        self._announced: tuple[int, int, int] = (0, 0, 0)
        self._announce_at = 0.0

    def _open_pipes(self, spec: Spec) -> Pipes:
        try:
            return Pipes(with_stdin=spec["stdin"] == "open")
        except OSError:
            self._outcome_file.discard()
            raise

    @property
    def verified(self) -> bool:
        """Whether the tree was proven empty; known when `done`."""
        return self._outcome["verified"]

    @property
    def phase(self) -> str:
        return "executing" if self._process and not self._process.ended else "completing"

    def start(self) -> None:
        try:
            self._process = MainProcess(spawn(self._spec, self._tree, self._pipes.child_ends))
        except SpawnError as error:
            self._outcome["spawn_error"] = error.failure
            self._ending.main_process_ended(clock_now())
        else:
            self._announce_start(self._process)
        self._streams.open()

    def cancel(self, force: bool) -> None:
        """Stop the spider. If its main process has ended already, the outcome stands."""
        if self._process is None or self._process.ended:
            return
        self._outcome["cancelled"] = True
        self._stop("cancel forced" if force else "cancel", force)

    def reaped(self, pid: int, status: int, usage: struct_rusage) -> None:
        assert self._process is not None
        was_alive = not self._process.ended
        self._process.count(pid, status, usage)
        if was_alive and self._process.ended:
            self._outcome["ended_at"] = rfc3339(time.time_ns())
            self._ending.main_process_ended(clock_now())
            self._announce("exited", {})

    def tick(self, now: float) -> None:
        """One pass over everything that may be due."""
        self._move_output(now)
        self._enforce_limits(now)
        self._take_stop_step(now)
        self._ending.tick(now, self._streams.ended)
        if self._ending.over:
            self._complete(now)
        else:
            self._announce_progress(now)
            self._status.write_if_due(now)

    @property
    def due_at(self) -> float:
        """When `tick` has something to do though no event came."""
        if self._ending.over:  # only a disk can be waited for
            return min(self._spool.retry_at, self._write_outcome_at or NEVER)
        executing = self._limits.due_at if self.phase == "executing" and not self._stopping.begun else NEVER
        return min(
            executing,
            self._streams.due_at,
            self._stopping.due_at,
            self._ending.due_at,
            self._status.due_at,
            self._announce_at if self._sizes() != self._announced else NEVER,
        )

    def _move_output(self, now: float) -> None:
        stopping = self._stopping.begun or self.phase == "completing"
        was_paused = self._streams.paused
        self._streams.tick(now, RESERVE_BYTES if stopping else 0)
        if self._streams.paused and not was_paused:
            self._limits.pause(now)
        elif was_paused and not self._streams.paused:
            self._limits.resume(now)
        if self._streams.heard:
            self._streams.heard = False
            self._limits.heard(now)

    def _enforce_limits(self, now: float) -> None:
        if self.phase != "executing" or self._stopping.begun:
            return
        limit = "items" if self._recorder.items_limit_reached else self._limits.exceeded(now)
        if limit:
            self._outcome["limit"] = limit
            self._stop(limit_text(limit, self._spec["limits"]), force=False)

    def _stop(self, why: str, force: bool) -> None:
        now = clock_now()
        if not self._stopping.begun or force:
            self._note(f"stopping the spider: {why}", now)
        can_ask = self._recorder.said_hello and self._pipes.stdin >= 0
        self._stopping.begin(now, can_ask)
        if force:
            self._stopping.force(now)
        self._take_stop_step(now)

    def _take_stop_step(self, now: float) -> None:
        if self._process is None or self._process.ended:
            self._stopping.due_at = NEVER
            return
        match self._stopping.take(now):
            case "ask":
                self._pipes.tell(_CANCEL_MESSAGE)
            case "terminate":
                self._process.terminate_group()
            case "kill":
                self._process.will_be_killed()
                self._ending.kill(now)

    def _complete(self, now: float) -> None:
        """The tree is gone: what is still in the pipes, the closing line, the outcome."""
        if not self._closed:
            if not self._streams.drain(now):
                return
            self._closed = True
            self._streams.end(now)
            self._gather()
            self._note(closing_line(self._outcome, self._spec["limits"]), now)
        if self._spool.stuck or now < self._write_outcome_at:
            return
        self._status.write()
        self._write_outcome(now)

    def _gather(self) -> None:
        outcome = self._outcome
        outcome["ended_at"] = outcome["ended_at"] or rfc3339(time.time_ns())
        if self._process:
            self._process.describe(outcome)
        if self._recorder.items_limit_reached and not outcome["cancelled"]:
            outcome["limit"] = outcome["limit"] or "items"
        outcome["survivors"] = self._ending.survivors
        outcome["verified"] = not self._ending.survivors
        outcome["leftovers"] = self._ending.leftovers
        self._recorder.describe(outcome)

    def _write_outcome(self, now: float) -> None:
        self._outcome["log_size"], self._outcome["items_size"], self._outcome["items_count"] = self._sizes()
        try:
            self._outcome_file.write(self._outcome)
        except OSError:
            self._write_outcome_at = now + RETRY_SECONDS
            return
        self._streams.close()
        self.done = True

    def _note(self, text: str, now: float) -> None:
        self._streams.note(iter([("log", system_line(text, time.time_ns()), 0)]), now)

    def _announce_start(self, process: MainProcess) -> None:
        fields = {"pid": process.pid, "start_time": process.start_time, "at": process.started_at}
        self._announce("started", fields)

    def _announce_progress(self, now: float) -> None:
        """At most a hundred times a second, the first bytes at once."""
        sizes = self._sizes()
        if sizes != self._announced and now >= self._announce_at:
            self._announce_at = now + _ANNOUNCE_SECONDS
            if self._announce("wrote", dict(zip(("log", "items", "count"), sizes, strict=True))):
                self._announced = sizes

    def _sizes(self) -> tuple[int, int, int]:
        return self._spool.log.size, self._spool.items.size, self._spool.items_count
