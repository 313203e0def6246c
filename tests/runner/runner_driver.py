"""Starts a real runner process and speaks its socket, with no other part of Silkmill in between."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.marked import marked

import silkmill
from silkmill.protocol import attemptdir, logframe

RUNNER = Path(silkmill.__file__).parent / "runner" / "__main__.py"
WAIT_SECONDS = 30.0
NONCE = "nonce-of-this-test"


def wait_until(condition: Callable[[], Any], what: str, seconds: float = WAIT_SECONDS) -> Any:
    """Poll until `condition` gives something true; on time-out show what it gave last."""
    deadline = time.monotonic() + seconds
    while True:
        state = condition()
        if state:
            return state
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}; last seen: {state!r}"
        time.sleep(0.01)


def processes_of(marker: str) -> list[int]:
    """Every process of one attempt."""
    return marked(f"SILKMILL_TEST_MARKER={marker}\0")


class Attempt:
    """An attempt directory and what the runner left in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    def marker(self) -> str:
        return self.directory.name.split(".")[0]

    @property
    def work(self) -> Path:
        return self.directory / "work"

    def outcome(self) -> attemptdir.Outcome:
        outcome = attemptdir.read_outcome(str(self.directory))
        assert outcome is not None, sorted(self.directory.iterdir())
        return outcome

    def log(self) -> bytes:
        return self._stream("log")

    def items(self) -> bytes:
        return self._stream("items")

    def output(self, tag: bytes = logframe.STDOUT) -> bytes:
        return logframe.stream_bytes(self.log(), tag)

    def system_lines(self) -> list[str]:
        return self.output(logframe.SYSTEM).decode().splitlines()

    def _stream(self, stream: attemptdir.Stream) -> bytes:
        directory = str(self.directory)
        return b"".join(Path(s.path).read_bytes() for s in attemptdir.list_segments(directory, stream))


class RunnerDriver:
    """One runner process and the connection to it."""

    def __init__(self, root: Path, cgroup_base: str = "", pass_fds: tuple[int, ...] = ()) -> None:
        self.root = root
        self.cgroup_base = cgroup_base
        self.slot = root / "slot"
        self.attempts = root / "attempts"
        self.slot.mkdir(parents=True, exist_ok=True)
        self.socket_directory = Path(tempfile.mkdtemp(prefix="smr-"))
        self.socket_path = self.socket_directory / "s"
        self.process = self._start(pass_fds)
        self.events: list[dict[str, Any]] = []
        self._connection: socket.socket | None = None
        self._received = b""
        self.connect()

    def _start(self, pass_fds: tuple[int, ...]) -> subprocess.Popen[bytes]:
        log = (self.slot / "runner.log").open("ab")
        command = [sys.executable, "-I", "-S", str(RUNNER), "--slot-dir", str(self.slot)]
        command += ["--socket", str(self.socket_path), "--cgroup-base", self.cgroup_base]
        with log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
                pass_fds=pass_fds,
            )

    # the connection

    def connect(self) -> None:
        self.disconnect()
        wait_until(lambda: self.socket_path.exists() or self.process.poll() is not None, "the socket")
        assert self.process.poll() is None, self.runner_log()
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._connection.settimeout(WAIT_SECONDS)
        self._connection.connect(str(self.socket_path))

    def disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._received = b""

    def send(self, **message: Any) -> None:
        assert self._connection is not None
        self._connection.sendall(json.dumps(message).encode() + b"\n")

    def wait_event(self, kind: str, seconds: float = WAIT_SECONDS) -> dict[str, Any]:
        """The next event of that kind; those before it stay in `events`."""
        deadline = time.monotonic() + seconds
        while True:
            event = self._next_event(deadline)
            assert event is not None, f"no {kind!r} in {seconds} s; had {self.events}\n{self.runner_log()}"
            self.events.append(event)
            if event["event"] == kind:
                return event

    def _next_event(self, deadline: float) -> dict[str, Any] | None:
        assert self._connection is not None
        while b"\n" not in self._received:
            readable, _, _ = select.select([self._connection], [], [], max(0.0, deadline - time.monotonic()))
            if not readable:
                return None
            data = self._connection.recv(65536)
            assert data, f"the runner hung up; had {self.events}\n{self.runner_log()}"
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        event: dict[str, Any] = json.loads(line)
        return event

    @property
    def last_slot(self) -> dict[str, Any]:
        """runner.json as it was when the runner had started, or as it is."""
        value: dict[str, Any] = json.loads((self.slot / "runner.json").read_text())
        return value

    def open_descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_kib(self) -> int:
        """The most memory the runner has ever had (VmHWM)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))

    # attempts

    def make_attempt(self, argv: list[str], **changes: Any) -> Attempt:
        """Write a spec.json; `limits` and `env` are merged into the defaults, other keys replace them."""
        task = f"task{secrets.token_hex(4)}"
        directory = self.attempts / f"{task}.1"
        (directory / "work").mkdir(parents=True)
        limits = {"runtime": 0.0, "stall": 0.0, "grace": 10.0, "items": 0, "spool": 1 << 30}
        env = {"PATH": os.environ["PATH"], "SILKMILL_TEST_MARKER": task, "PYTHONUNBUFFERED": "1"}
        spec: dict[str, Any] = {
            "version": 1,
            "task": task,
            "attempt": 1,
            "argv": argv,
            "env": env | changes.pop("env", {}),
            "cwd": str(directory / "work"),
            "nonce": NONCE,
            "boot_id": "",
            "ipc": "open",
            "stdin": "open",
            "limits": limits | changes.pop("limits", {}),
            "containment": "auto",
            "environments": [],
            "log_size": 0,
            "log_lines": 0,
        }
        attemptdir.write_spec(str(directory), spec | changes)  # type: ignore[arg-type]
        return Attempt(directory)

    def begin(self, argv: list[str], **changes: Any) -> Attempt:
        """Run it and wait until it has started."""
        attempt = self.make_attempt(argv, **changes)
        self.send(op="run", dir=str(attempt.directory))
        self.wait_event("started")
        return attempt

    def run(self, argv: list[str], **changes: Any) -> Attempt:
        """Run it to its end."""
        attempt = self.make_attempt(argv, **changes)
        self.send(op="run", dir=str(attempt.directory))
        self.wait_event("done")
        return attempt

    def python(self, source: str, **changes: Any) -> Attempt:
        return self.run([sys.executable, "-c", source], **changes)

    # the end

    def runner_log(self) -> str:
        return (self.slot / "runner.log").read_text()

    def close(self) -> None:
        self.disconnect()
        self.process.kill()
        self.process.wait()
        for directory in self.attempts.glob("*"):  # nobody is left to kill what a test has not ended
            for pid in processes_of(Attempt(directory).marker):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.socket_directory)
