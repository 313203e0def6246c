"""Processes as /proc shows them: who descends from whom, since when, using what; how to kill just those."""

from __future__ import annotations

import os
import signal

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


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


class ProcessUsage:
    """What one process uses, with the dead children it has waited for. `lives`: 0 for a zombie.

    `disk_bytes`: fetched from and sent to storage; None where we may not know."""

    __slots__ = ("cpu_seconds", "disk_bytes", "lives", "rss_bytes")

    def __init__(self, pid: int, fields: list[bytes]) -> None:
        self.lives = int(fields[0] not in (b"Z", b"X"))
        self.cpu_seconds = sum(map(int, fields[11:15])) / _TICKS
        self.rss_bytes = int(fields[21]) * _PAGE_BYTES
        self.disk_bytes = _disk_bytes(pid)


def usage_of(pid: int) -> ProcessUsage | None:
    """None: there is no such process."""
    fields = _read_fields(pid)
    return None if fields is None else ProcessUsage(pid, fields)


def _disk_bytes(pid: int) -> tuple[int, int] | None:
    """proc(5), io. None where a living process may not be looked at; zeros where it is dead by now."""
    counters = dict(line.split(b": ") for line in _read(f"/proc/{pid}/io").splitlines())
    if not counters and _lives(pid):
        return None
    return int(counters.get(b"read_bytes", 0)), int(counters.get(b"write_bytes", 0))


def _lives(pid: int) -> bool:
    status = _read_status(pid)
    return status is not None and status[1] not in "ZX"


def _all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def _read_status(pid: int) -> tuple[int, str, int] | None:
    """Parent, state letter and start time."""
    fields = _read_fields(pid)
    return (int(fields[1]), fields[0].decode(), int(fields[19])) if fields else None


def _read_fields(pid: int) -> list[bytes] | None:
    """/proc/<pid>/stat from field 3, the state, on."""
    text = _read(f"/proc/{pid}/stat")
    behind_name = text.rfind(b")") + 2  # the name in parentheses may hold anything
    return text[behind_name:].split() if text else None


def _read(path: str) -> bytes:
    """Nothing where there is no such process, or it may not be looked at."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, 1024)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
