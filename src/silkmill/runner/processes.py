"""Processes as /proc shows them: who descends from whom, since when; a kill that hits no stranger."""

from __future__ import annotations

import os
import signal


def start_time(pid: int) -> int | None:
    """Clock ticks after boot when `pid` started (proc(5), field 22); None: there is no such process."""
    status = _read_status(pid)
    return status[2] if status else None


def descendants(root: int) -> dict[int, int]:
    """The living processes below `root` and their start times; zombies count only as parents."""
    table = {pid: status for pid in _all_pids() if (status := _read_status(pid))}
    below = {root}
    grown = True
    while grown:
        more = {pid for pid, (parent, _, _) in table.items() if parent in below and pid not in below}
        grown = bool(more)
        below |= more
    below.discard(root)
    return {pid: table[pid][2] for pid in below if table[pid][1] not in "ZX"}


def kill_process(pid: int, since: int) -> bool:
    """SIGKILL `pid` if it is still the process that started at `since`, for numbers are given anew."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if start_time(pid) != since:
            return False
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def _all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def _read_status(pid: int) -> tuple[int, str, int] | None:
    """Parent, state letter and start time."""
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        text = os.read(descriptor, 1024)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    fields = text[text.rindex(b")") + 2 :].split()  # the name in parentheses may hold anything
    return int(fields[1]), fields[0].decode(), int(fields[19])
