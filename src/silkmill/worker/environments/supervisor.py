"""A process that runs one command of a build, and sees to it that nothing of it is left, whoever dies.

The order comes as one line of JSON on stdin, which stays open: its end means that nobody waits any more.
stdout and stderr of the command are ours. The exit code is that of the command, and says that all has ended:
when we die by a signal, the agent looks for what is left."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import traceback
from contextlib import suppress
from typing import Any

from silkmill.protocol.cgroup import move_self
from silkmill.runner.processes import descendants, kill_process
from silkmill.runner.syscalls import become_subreaper

NOT_STARTED = 127
STOPPED = 130


def main() -> int:
    """A defect of ours ends it by a signal."""
    try:
        return _supervise()
    except Exception:
        traceback.print_exc()
        os.kill(os.getpid(), signal.SIGKILL)
        raise


def _supervise() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # what Ctrl-C means is for the agent to say
    become_subreaper()
    order = json.loads(_first_line())
    if order["group"]:
        with suppress(OSError):  # without one the tree is all there is
            move_self(order["group"])
    try:
        child = _start(order)
    except OSError as error:
        print(f"error: {order['argv'][0]}: {error.strerror}", flush=True)
        return NOT_STARTED
    code = _wait(child)
    _end_rest()
    return code


def _first_line() -> bytes:
    """Nothing may be read ahead: what follows the line is the end of the input."""
    line = bytearray()
    while not line.endswith(b"\n"):
        line += os.read(0, 65536) or sys.exit(STOPPED)
    return bytes(line)


def _start(order: dict[str, Any]) -> int:
    os.chdir(order["cwd"])
    return os.posix_spawnp(
        order["argv"][0],
        order["argv"],
        order["env"],
        file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), (os.POSIX_SPAWN_DUP2, 1, 2)],
        setsid=True,
        setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
    )


def _wait(child: int) -> int:
    """Until the command has ended, or the input has."""
    handle = os.pidfd_open(child)
    readable, _, _ = select.select([0, handle], [], [])
    os.close(handle)
    if 0 in readable:
        return STOPPED
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else 128 - code


def _end_rest() -> None:
    """Kill what is left of the tree until the kernel says that there is no child.

    Whoever is born behind the back of a look has a parent that dies: then we look again, once for all who
    have died meanwhile, for a look goes through all processes of the machine."""
    with suppress(ChildProcessError):
        while True:
            for pid, since in descendants(os.getpid()).items():
                kill_process(pid, since)
            os.waitpid(-1, 0)
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


if __name__ == "__main__":
    sys.exit(main())
