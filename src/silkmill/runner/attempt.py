"""One attempt: a spider from its start to its outcome, with every limit and every way to end."""

from __future__ import annotations

import time

from silkmill.protocol.logframe import rfc3339
from silkmill.runner.clock import NEVER
from silkmill.runner.clock import now as clock_now
from silkmill.runner.ending import Ending
from silkmill.runner.limits import TimeLimits
from silkmill.runner.main_process import MainProcess
from silkmill.runner.outcome import OutcomeFile, blank_outcome, closing_line, limit_text
from silkmill.runner.pipes import Pipes
from silkmill.runner.progress import Progress
from silkmill.runner.recorder import Recorder
from silkmill.runner.spawn import spawn
from silkmill.runner.spawn_error import SpawnError
from silkmill.runner.spool import MEDDLED, RESERVE_BYTES, RETRY_SECONDS, Spool
from silkmill.runner.status import StatusFile
from silkmill.runner.stopping import ASK_SECONDS, Stopping
from silkmill.runner.streams import Streams
from silkmill.runner.usage import TreeUsage

TYPE_CHECKING = False  # the typing module would cost every runner half a megabyte
if TYPE_CHECKING:
    from resource import struct_rusage
    from selectors import BaseSelector

    from silkmill.protocol.attemptdir import Spec
    from silkmill.runner.containment import ProcessTree
    from silkmill.runner.progress import Announce

_CANCEL_MESSAGE = b'{"type":"CANCEL","payload":{"grace_seconds":%d}}\n' % ASK_SECONDS


class Attempt:
    """Its owner calls `start`, then `reaped` for every dead child and `tick` until `done`.

    Making one raises OSError when the directory has no room for an outcome and ValueError for a bad nonce;
    nothing was started then.
    """

    def __init__(
        self, directory: str, spec: Spec, tree: ProcessTree, selector: BaseSelector, announce: Announce
    ) -> None:
        self.done = False
        self._recorder = Recorder(spec)
        self._outcome_file = OutcomeFile(directory)
        self._pipes = self._open_pipes(spec)
        self._spool = Spool(directory, spec["limits"]["spool"], spec["log_size"])
        self._streams = Streams(self._pipes, self._recorder, self._spool, selector)
        self._spec = spec
        self._tree = tree
        self._announce = announce
        self._outcome = blank_outcome()
        self._progress = Progress(self._spool, announce)
        self._usage = TreeUsage(tree)
        self._status = StatusFile(directory, self._recorder, self._usage)
        self._limits = TimeLimits(spec["limits"]["runtime"], spec["limits"]["stall"], clock_now())
        self._stopping = Stopping(spec["limits"]["grace"])
        self._ending = Ending(tree)
        self._process: MainProcess | None = None
        self._last_steps = [self._streams.drain, self._streams.end, self._close_log, self._write_outcome]
        self._retry_at = 0.0

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
            self._usage.begin(clock_now())
            self._announce_start(self._process)
        self._streams.open()

    def cancel(self, force: bool) -> None:
        """Stop the spider. If its main process has ended already, the outcome stands."""
        if self._process is None or self._process.has_exited:
            return
        self._outcome["cancelled"] = True
        self._stop("cancel forced" if force else "cancel", force)

    def reaped(self, pid: int, status: int, usage: struct_rusage) -> None:
        assert self._process is not None
        was_alive = not self._process.ended
        self._usage.reaped(usage)
        self._process.reaped(pid, status)
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
            self._progress.announce_if_due(now)
            self._status.write_if_due(now)

    @property
    def due_at(self) -> float:
        """When `tick` has something to do though no event came."""
        if self._ending.over:  # only a disk can be waited for
            return min(self._spool.retry_at, self._retry_at or NEVER)
        executing = self._limits.due_at if self.phase == "executing" and not self._stopping.begun else NEVER
        return min(
            executing,
            self._streams.due_at,
            self._stopping.due_at,
            self._ending.due_at,
            self._status.due_at,
            self._progress.due_at,
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
        if self._spool.lost:
            self._stop("the attempt's directory is gone", force=True)
            return
        limit = "items" if self._recorder.items_limit_reached else self._limits.exceeded(now)
        if limit:
            self._outcome["limit"] = limit
            self._stop(limit_text(limit, self._spec["limits"]), force=False)

    def _stop(self, why: str, force: bool) -> None:
        now = clock_now()
        if not self._stopping.begun or (force and not self._stopping.killing):
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
        """The tree is gone: take the last steps, each as soon as the disk has taken the one before."""
        while self._last_steps and not self._spool.stuck and now >= self._retry_at:
            if not self._last_steps[0](now):
                return
            self._last_steps.pop(0)

    def _close_log(self, now: float) -> bool:
        """All facts are known now that everything read has been written."""
        outcome = self._outcome
        outcome["ended_at"] = outcome["ended_at"] or rfc3339(time.time_ns())
        if self._process:
            self._process.describe(outcome)
            self._usage.describe(outcome)
        if self._recorder.items_limit_reached and not outcome["cancelled"]:
            outcome["limit"] = outcome["limit"] or "items"
        self._ending.describe(outcome)
        self._recorder.describe(outcome)
        self._note(closing_line(outcome, self._spec["limits"]), now)
        return True

    def _write_outcome(self, now: float) -> bool:
        self._outcome["log_size"], self._outcome["items_size"], self._outcome["items_count"] = (
            self._spool.sizes
        )
        self._outcome["log_lines"] = self._recorder.log_lines
        self._status.write()
        try:
            self._leave_outcome()
        except OSError:
            self._retry_at = now + RETRY_SECONDS
            return False
        self._streams.close()
        self.done = True
        return True

    def _leave_outcome(self) -> None:
        """Not where words were lost: without an outcome the agent knows that the attempt is lost."""
        if not self._spool.lost:
            try:
                self._outcome_file.write(self._outcome)
                return
            except MEDDLED:
                self._spool.lost = True
        self._outcome_file.close()

    def _note(self, text: str, now: float) -> None:
        self._streams.note(self._recorder.note(text, time.time_ns()), now)

    def _announce_start(self, process: MainProcess) -> None:
        self._announce("started", {"pid": process.pid, "at": process.started_at})
