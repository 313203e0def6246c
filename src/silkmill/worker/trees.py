"""Ends the process tree of an attempt whose runner died: nobody else is left who could.

A cgroup holds all of it. Without one, a process belongs to the attempt when it came to us as the orphan of a
runner, when its environment says so, or when it descends from such a one. All are looked at: a repeat costs
little and proves more. The environment alone proves nothing: a daemon may have a clean one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from silkmill.domain.attempt import AttemptRef
from silkmill.protocol import cgroup
from silkmill.runner.processes import descendants, kill_process, start_time
from silkmill.worker.children import orphans

_PATIENCE_SECONDS = 10.0
_REPEAT_SECONDS = 0.02
_QUIET_LOOKS = 2  # a process may be born behind the back of one look
BUILD_VARIABLE = "SILKMILL_BUILD"
"""In the environment of all that builds an environment: the folder of it, by which it is found again."""
IsMarked = Callable[[list[bytes]], bool]


@dataclass(frozen=True, slots=True)
class Remains:
    """Where the tree of a dead runner is to be looked for. `complete`: none of it can be anywhere else than
    in its cgroup `group`, or among our orphans, or it was seen to be gone."""

    group: str | None
    complete: bool


@dataclass(frozen=True, slots=True)
class TreeEnd:
    """`verified`: the tree is proven gone. `survivors` would not die."""

    verified: bool
    survivors: tuple[int, ...] = ()


def end_tree(ref: AttemptRef, nonce: str, remains: Remains) -> TreeEnd:
    """Kill everything of the attempt until nothing is left. Blocks."""
    return _end(lambda variables: _names_attempt(variables, ref, nonce), remains)


def end_builders(folder: Path) -> bool:
    """Kill what builds this environment for an agent that died. Blocks; True: nothing is left."""
    mark = f"{BUILD_VARIABLE}={folder}".encode()
    return _end(lambda variables: mark in variables, Remains(None, complete=True)).verified


def _end(is_marked: IsMarked, remains: Remains) -> TreeEnd:
    group = remains.group
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    quiet = 0
    while True:
        left = _kill_once(is_marked, group)
        gone = not left and (group is None or cgroup.remove_group(group))
        quiet = quiet + 1 if gone else 0
        if quiet == _QUIET_LOOKS:
            return TreeEnd(remains.complete)
        if time.monotonic() >= give_up_at:
            return TreeEnd(False, tuple(sorted(left)))
        time.sleep(_REPEAT_SECONDS)


def is_alive(pid: int) -> bool:
    """Whether a process of that number exists and is not merely waiting to be reaped."""
    try:
        status = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return status.rpartition(b")")[2].split()[0] not in b"ZX"


def end_group(group: str) -> bool:
    """Kill what is in the cgroup of a dead runner, and remove it. Blocks; True proves that it is gone."""
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    while not cgroup.remove_group(group):
        if time.monotonic() >= give_up_at:
            return False
        cgroup.kill_group(group)
        time.sleep(_REPEAT_SECONDS)
    return True


def groups_below(base: str) -> list[str]:
    """The cgroups that runners have made below `base` ("" for none)."""
    if not base:
        return []
    with os.scandir(base) as entries:
        return [entry.path for entry in entries if entry.is_dir()]


def _kill_once(is_marked: IsMarked, group: str | None) -> set[int]:
    """One pass; returns whom it found alive."""
    members = _members(is_marked)
    for pid, since in members.items():
        kill_process(pid, since)
    in_group = cgroup.kill_group(group) if group and Path(group).exists() else set()
    return in_group | members.keys()


def _members(is_marked: IsMarked) -> dict[int, int]:
    """The living processes that are marked, and all orphans, for their runners are dead; with start times."""
    found = orphans()
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdecimal() and (since := start_time(int(name))) and is_marked(_variables_of(name)):
            found[int(name)] = since
            found.update(descendants(int(name)))
    found.pop(os.getpid(), None)
    return found


def _variables_of(pid: str) -> list[bytes]:
    """A dead process that nobody has waited for has no environment any more."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _names_attempt(variables: list[bytes], ref: AttemptRef, nonce: str) -> bool:
    if nonce and f"SILKMILL_IPC_NONCE={nonce}".encode() in variables:
        return True
    task, attempt = f"SILKMILL_TASK_ID={ref.task_id}".encode(), f"SILKMILL_ATTEMPT={ref.number}".encode()
    return task in variables and attempt in variables
