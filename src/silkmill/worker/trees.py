"""Ends the process tree of an attempt whose runner died: nobody else is left who could.

A cgroup holds all of it. Without one, a process belongs to the attempt when its environment says so, or when
it descends from one whose environment does. Both are looked at: a repeat costs little and proves more.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from silkmill.domain.attempt import AttemptRef
from silkmill.protocol import cgroup
from silkmill.runner.processes import descendants, kill_process, start_time

_PATIENCE_SECONDS = 10.0
_REPEAT_SECONDS = 0.02
_QUIET_LOOKS = 2  # a process may be born behind the back of one look


def end_tree(ref: AttemptRef, nonce: str, group: str | None) -> list[int]:
    """Kill everything of the attempt until nothing is left. Blocks; returns the pids that would not die."""
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    quiet = 0
    while True:
        left = _kill_once(ref, nonce, group)
        gone = not left and (group is None or cgroup.remove_group(group))
        quiet = quiet + 1 if gone else 0
        if quiet == _QUIET_LOOKS:
            return []
        if time.monotonic() >= give_up_at:
            return sorted(left)
        time.sleep(_REPEAT_SECONDS)


def is_alive(pid: int) -> bool:
    """Whether a process of that number exists and is not merely waiting to be reaped."""
    try:
        status = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return status.rpartition(b")")[2].split()[0] not in b"ZX"


def end_group(group: str) -> None:
    """Kill what is in the cgroup of a dead runner, and remove it. Blocks."""
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    while not cgroup.remove_group(group) and time.monotonic() < give_up_at:
        cgroup.kill_group(group)
        time.sleep(_REPEAT_SECONDS)


def groups_below(base: str) -> list[str]:
    """The cgroups that runners have made below `base` ("" for none)."""
    if not base:
        return []
    with os.scandir(base) as entries:
        return [entry.path for entry in entries if entry.is_dir()]


def _kill_once(ref: AttemptRef, nonce: str, group: str | None) -> set[int]:
    """One pass; returns whom it found alive."""
    members = _members(ref, nonce)
    for pid, since in members.items():
        kill_process(pid, since)
    in_group = cgroup.kill_group(group) if group and Path(group).exists() else set()
    return in_group | members.keys()


def _members(ref: AttemptRef, nonce: str) -> dict[int, int]:
    """The living processes of the attempt, with their start times."""
    found: dict[int, int] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdecimal() and (since := start_time(int(name))) and _names_attempt(name, ref, nonce):
            found[int(name)] = since
            found.update(descendants(int(name)))
    found.pop(os.getpid(), None)
    return found


def _names_attempt(pid: str, ref: AttemptRef, nonce: str) -> bool:
    """A dead process that nobody has waited for has no environment any more."""
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    if nonce and f"SILKMILL_IPC_NONCE={nonce}".encode() in variables:
        return True
    task, attempt = f"SILKMILL_TASK_ID={ref.task_id}".encode(), f"SILKMILL_ATTEMPT={ref.number}".encode()
    return task in variables and attempt in variables
