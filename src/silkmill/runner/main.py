"""Start a runner from its command line."""

from __future__ import annotations

import os
import signal

from silkmill.runner.runner import Runner

_OPTIONS = ("--slot-dir", "--socket", "--cgroup-base")


def main(arguments: list[str]) -> None:
    """`--slot-dir DIR --socket PATH --cgroup-base PATH` ("" for none), all of them and in any order."""
    options = dict(zip(arguments[::2], arguments[1::2], strict=True))
    slot_directory, socket_path, cgroup_base = (options[name] for name in _OPTIONS)
    _close_inherited()
    os.chdir("/")
    for ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    Runner(slot_directory, socket_path, cgroup_base).run()


def _close_inherited() -> None:
    """What an agent left open would be inherited by every spider."""
    os.closerange(3, 1 + max(map(int, os.listdir("/proc/self/fd"))))
