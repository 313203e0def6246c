"""The command line as users have it: a process, a real engine behind it, two pipes in front."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest
from tests.helpers import wait_until

HELLO = """
import json, os, signal, sys, time
seconds, count, code = float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
if sys.argv[4] == "true":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("hello")
print("\\x1b[31mred", file=sys.stderr)
for number in range(count):
    print(json.dumps({"type": "INSERT_DATA", "payload": {"n": number, "text": "=1"}}), flush=True)
time.sleep(seconds)
sys.stdout.write("no newline at the end")
sys.exit(code)
"""
TOML = """
name = "hello"
command = ["{python}", "main.py", "{{seconds}}", "{{count}}", "{{code}}", "{{stubborn}}"]
[params.seconds]
type = "float"
default = 0.0
[params.count]
type = "int"
default = 3
[params.code]
type = "int"
default = 0
[params.stubborn]
type = "bool"
default = false
[limits]
grace = "60s"
"""


@dataclass(frozen=True)
class Result:
    code: int
    out: bytes
    err: str

    @property
    def json(self) -> Any:
        """The last line of stdout."""
        return json.loads(self.out.splitlines()[-1])


class Cli:
    """Runs `silkmill` with a clean environment and `--data` at the end."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def start(self, *arguments: str, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "silkmill", *arguments, "--data", str(self.data)]
        return subprocess.Popen(
            command, env=clean_environment() | (env or {}), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def __call__(self, *arguments: str, env: dict[str, str] | None = None, seconds: float = 60.0) -> Result:
        process = self.start(*arguments, env=env)
        return finish(process, seconds)

    def kill_runners(self) -> None:
        from silkmill.cli.runners import kill_runners

        kill_runners(self.data)


def clean_environment() -> dict[str, str]:
    """That of a user: output is buffered."""
    others = ("SILKMILL_", "PYTHONUNBUFFERED")
    return {name: value for name, value in os.environ.items() if not name.startswith(others)}


def finish(process: subprocess.Popen[bytes], seconds: float = 60.0) -> Result:
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"not ended after {seconds} s: {out!r} {err!r}") from None
    return Result(process.returncode, out, err.decode())


def read_until(stream: IO[bytes], word: bytes) -> bytes:
    for line in stream:
        if word in line:
            return line
    raise AssertionError(f"{word!r} was not said")


def start_up(cli: Cli, *arguments: str) -> subprocess.Popen[bytes]:
    """A running `silkmill up`; its stdout and stderr go to a file of the data directory."""
    cli.data.mkdir(exist_ok=True, parents=True)
    command = [sys.executable, "-m", "silkmill", "up", "--data", str(cli.data), "--listen", "127.0.0.1:0"]
    with (cli.data / "up.log").open("ab") as log:
        process = subprocess.Popen([*command, *arguments], env=clean_environment(), stdout=log, stderr=log)
    wait_until(
        lambda: process.poll() is not None or b"ready: " in (cli.data / "up.log").read_bytes(),
        30,
        lambda: (cli.data / "up.log").read_text(),
    )
    return process


def end_up(cli: Cli, process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.wait()
    cli.kill_runners()


def make_folder(parent: Path) -> Path:
    folder = parent / "hello"
    folder.mkdir()
    (folder / "main.py").write_text(HELLO)
    (folder / "spider.toml").write_text(TOML.format(python=sys.executable))
    return folder


@pytest.fixture(scope="module")
def module_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def folder(module_path: Path) -> Path:
    """A deployable spider `hello`: prints, saves `count` items, sleeps `seconds`, exits with `code`;
    `stubborn` ignores SIGTERM."""
    return make_folder(module_path)


@pytest.fixture(scope="module")
def up(module_path: Path) -> Iterator[Cli]:
    """A command line whose data directory has a running `silkmill up`, one for all tests of a module."""
    cli = Cli(module_path / "data")
    process = start_up(cli)
    try:
        assert process.poll() is None, (cli.data / "up.log").read_text()
        yield cli
    finally:
        end_up(cli, process)


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Cli]:
    """A command line with a data directory that nobody has used."""
    cli = Cli(tmp_path / "data")
    yield cli
    cli.kill_runners()
