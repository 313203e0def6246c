"""The children of this process: the runners it has started, and the orphans of those that died.

Where no cgroup holds a spider's tree together, the agent is the next subreaper above its runners: in the step
in which a runner dies, all that it held becomes ours, however it has hidden. What comes so is in another
session than ours, in which what we start ourselves is, but for runners.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from silkmill.runner.processes import descendants
from silkmill.runner.syscalls import become_subreaper, resign_as_subreaper

_INIT = 1
_lock = threading.Lock()  # a runner is known before anybody can take it for an orphan
_runners: set[int] = set()
_agents = 0  # that want the orphans; more than one only in tests


def start_child(spawn: Callable[[], int]) -> int:
    """Start a runner in a session of its own."""
    with _lock:
        pid = spawn()
        _runners.add(pid)
        return pid


def forget_child(pid: int) -> None:
    """It was waited for: its number may be another's from now on."""
    with _lock:
        _runners.discard(pid)


def is_child(pid: int) -> bool:
    return pid in _runners


def take_orphans() -> None:
    """From now on orphans come to this process, until `leave_orphans` was called as often."""
    global _agents
    _agents += 1
    become_subreaper()


def leave_orphans() -> None:
    global _agents
    _agents -= 1
    if _agents == 0:
        resign_as_subreaper()


def orphans_come() -> bool:
    """Whether all that a dead runner of ours leaves is among `orphans`.

    Not as process 1 of a container, which gets the orphans of strangers too."""
    return _agents > 0 and os.getpid() != _INIT


def orphans() -> dict[int, int]:
    """The living orphans and what descends from them, with their start times; dead ones are waited for."""
    if not orphans_come():
        return {}
    found: dict[int, int] = {}
    with _lock:
        for child in _children():
            if child.pid in _runners or child.session == os.getsid(0):
                continue
            if child.is_dead:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(child.pid, os.WNOHANG)
            else:
                found[child.pid] = child.since
    for pid in list(found):
        found |= descendants(pid)
    return found


class _Child(NamedTuple):
    pid: int
    session: int
    since: int
    is_dead: bool


def _children() -> Iterator[_Child]:
    for directory in Path("/proc").iterdir():
        if directory.name.isdecimal() and (fields := _status(directory)) and int(fields[1]) == os.getpid():
            yield _Child(int(directory.name), int(fields[3]), int(fields[19]), fields[0] in b"ZX")


def _status(directory: Path) -> list[bytes] | None:
    """The fields of /proc/<pid>/stat (proc(5)) from the third one on, which is the state."""
    try:
        return (directory / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
