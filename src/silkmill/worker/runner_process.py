"""A runner as a process: started in a session of its own, found again by pid and start time, seen to die."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

import silkmill
from silkmill.runner.processes import start_time
from silkmill.worker.children import forget_child, start_child
from silkmill.worker.trees import is_alive

_MAIN = str(Path(silkmill.__file__).parent / "runner" / "__main__.py")
_RUNNER_FILE = "runner.json"
# What a runner itself may need; its spider gets an environment of its own.
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR")


class RunnerProcess:
    """Named by a pidfd, which becomes readable when the process has died. Close it in the end."""

    def __init__(self, pid: int, socket: str) -> None:
        self.pid = pid
        self.socket = socket
        self.pidfd = os.pidfd_open(pid)

    def close(self) -> None:
        """The process is none of our business any more, or dead; a repeat changes nothing."""
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1

    def reap(self) -> None:
        """Take the dead process off the table, if it is a child of ours."""
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)
        forget_child(self.pid)

    def kill(self) -> None:
        if self.pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    @property
    def alive(self) -> bool:
        if self.pidfd < 0:
            return False
        try:
            signal.pidfd_send_signal(self.pidfd, 0)
        except ProcessLookupError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class RunnerFile:
    """runner.json: who serves a slot (`pid` and `start_time`), since which boot, what it runs and in which
    cgroup."""

    pid: int
    start_time: int
    boot_id: str
    socket: str
    protocol: int
    attempt: str | None
    cgroup: str | None = None


def start_runner(slot_directory: Path, socket: Path, cgroup_base: str) -> RunnerProcess:
    """Start the runner of a slot. It is detached: what happens to us does not touch it. Raises OSError."""
    slot_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    options = ["--slot-dir", str(slot_directory), "--socket", str(socket), "--cgroup-base", cgroup_base]
    log = os.open(slot_directory / "runner.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        return RunnerProcess(start_child(lambda: _spawn(options, log)), str(socket))
    finally:
        os.close(log)


def _spawn(options: list[str], log: int) -> int:
    return os.posix_spawn(
        sys.executable,
        [sys.executable, "-I", "-S", _MAIN, *options],
        {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        file_actions=_detached_from(log),
        setsid=True,
        setsigmask=(),
        setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
    )


def _detached_from(log: int) -> list[Any]:
    null = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDWR, 0)
    return [null, (os.POSIX_SPAWN_DUP2, 0, 1), (os.POSIX_SPAWN_DUP2, log, 2)]


def read_runner_file(slot_directory: Path) -> RunnerFile | None:
    """None when no runner is, or was when it died, in that slot; nor one of before a power cut, which may
    leave the file empty."""
    try:
        return msgspec.json.decode((slot_directory / _RUNNER_FILE).read_bytes(), type=RunnerFile)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def forget_runner(slot_directory: Path) -> None:
    """Remove what a dead runner left of itself."""
    (slot_directory / _RUNNER_FILE).unlink(missing_ok=True)


def find_runner(found: RunnerFile, boot_id: str) -> RunnerProcess | None:
    """The living process that wrote the file; None when it is dead, whoever has its pid now."""
    if found.boot_id != boot_id:
        return None
    try:
        process = RunnerProcess(found.pid, found.socket)
    except ProcessLookupError:
        return None
    if start_time(found.pid) == found.start_time and is_alive(found.pid):
        return process
    process.close()
    return None


def spider_of(runner: int) -> int | None:
    """The main process of the attempt that a runner executes: its oldest child."""
    try:
        children = Path(f"/proc/{runner}/task/{runner}/children").read_text(encoding="ascii")
    except OSError:
        return None
    return int(children.split()[0]) if children.strip() else None
