"""The one place that waits for children: every process of a spider's tree ends up here, because the runner is
the subreaper of its descendants. "No child left" (ECHILD) is the proof that the tree is gone."""

from __future__ import annotations

import os
import signal

from silkmill.runner.syscalls import become_subreaper

TYPE_CHECKING = False  # the typing module would cost every runner half a megabyte
if TYPE_CHECKING:
    from collections.abc import Iterator
    from resource import struct_rusage


class Reaper:
    """Its `descriptor` becomes readable when a child has died; then call `reap`."""

    def __init__(self) -> None:
        self.descriptor, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # the default action would not write to the descriptor
        become_subreaper()

    def reap(self) -> Iterator[tuple[int, int, struct_rusage]]:
        """Take every dead child: pid, wait status, resources used by it and the children it waited for."""
        self._forget_wakeups()
        try:
            while True:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
                if pid == 0:
                    return
                yield pid, status, usage
        except ChildProcessError:
            return

    def _forget_wakeups(self) -> None:
        try:
            os.read(self.descriptor, 4096)
        except BlockingIOError:
            return


def childless() -> bool:
    """True when not even a dead child is left (waitid looks without taking)."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    return False
