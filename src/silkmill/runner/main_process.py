"""The spider's main process: its pid, the signals we sent it, and how it ended."""

from __future__ import annotations

import os
import signal
import time

from silkmill.protocol.logframe import rfc3339

TYPE_CHECKING = False  # the typing module would cost every runner half a megabyte
if TYPE_CHECKING:
    from silkmill.protocol.attemptdir import Outcome


class MainProcess:
    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.started_at = rfc3339(time.time_ns())
        self.ended = False
        self._status = 0
        self._signals_sent: set[int] = set()

    @property
    def has_exited(self) -> bool:
        """Whether it ended already, reaped or not (waitid looks without taking)."""
        return self.ended or os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def terminate_group(self) -> None:
        """SIGTERM to its process group. Not once it is reaped: then the number may be another's."""
        try:
            os.killpg(self.pid, signal.SIGTERM)
        except (
            PermissionError
        ):  # it runs as somebody else by now (sudo, su): the later steps show who is left
            return
        self._signals_sent.add(signal.SIGTERM)

    def will_be_killed(self) -> None:
        self._signals_sent.add(signal.SIGKILL)

    def reaped(self, pid: int, status: int) -> None:
        """A process of the tree is dead, perhaps the main one."""
        if pid == self.pid:
            self.ended = True
            self._status = status

    def describe(self, outcome: Outcome) -> None:
        """Write what is known into the outcome."""
        outcome["started"] = True
        outcome["pid"] = self.pid
        outcome["started_at"] = self.started_at
        if not self.ended:
            return
        code = os.waitstatus_to_exitcode(self._status)
        if code >= 0:
            outcome["exit_code"] = code
        else:
            outcome["signal"] = -code
            outcome["signal_sender"] = "us" if -code in self._signals_sent else "unknown"
