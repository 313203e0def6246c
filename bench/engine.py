"""The measured side: a real `silkmill up` in a process of its own, driven over HTTP by the client."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from silkmill.adapters.store.connection import connect
from silkmill.client import Client, find_server
from silkmill.client.folder import deploy_folder

SLOTS = 4
POLL_SECONDS = 0.005
PATIENCE_SECONDS = 600.0
SYNCHRONOUS_FULL = 2
# By an index, so that looking often costs nothing.
OPEN_TASK = "SELECT id FROM tasks WHERE state IN ('created', 'pending', 'running', 'abnormal') LIMIT 1"
FAILED_TASK = "SELECT id FROM tasks WHERE state IN ('error', 'cancelled') LIMIT 1"


class BenchFailed(Exception):
    """A measurement that would not mean what it says."""


class Engine:
    """What the rows ask of a running engine. Ends are looked for in the database file itself, on a connection
    that only reads: what it shows is committed and, with synchronous=FULL, on the disk."""

    def __init__(self, place: Path, data: Path, process: subprocess.Popen[bytes], client: Client) -> None:
        self.data, self.process, self.client = data, process, client
        self._place = place
        self._database = sqlite3.connect(f"file:{data / 'silkmill.db'}?mode=ro", uri=True)

    def close(self) -> None:
        self._database.close()

    def deploy(self, name: str, command: list[str], *, toml: str = "") -> None:
        """A spider that is a spider.toml and nothing else."""
        folder = self._place / "spiders" / name
        folder.mkdir(parents=True)
        (folder / "spider.toml").write_text(f'name = "{name}"\ncommand = {json.dumps(command)}\n{toml}')
        deploy_folder(self.client, folder)

    def run(self, spider: str, count: int = 1) -> tuple[float, list[str]]:
        """Submit so many tasks in one call; seconds until the last one is finished and durable, and ids."""
        lines = b"\n".join([json.dumps({"spider": spider}).encode()] * count)
        start = time.perf_counter()
        ids = self.client.submit_bulk(lines)["ids"]
        self.wait_finished()
        return time.perf_counter() - start, ids

    def wait_finished(self) -> None:
        """Until every task has ended. Raises BenchFailed when one ended otherwise than finished."""
        self.wait(lambda: self._database.execute(OPEN_TASK).fetchone() is None)
        if failed := self._database.execute(FAILED_TASK).fetchone():
            raise BenchFailed(f"a task did not finish: {self.client.task(failed[0])}")

    def wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if self.process.poll() is not None:
                raise BenchFailed(f"silkmill up ended with {self.process.returncode}; see {self.data}")
            if time.monotonic() > deadline:
                raise BenchFailed(f"nothing after {PATIENCE_SECONDS:.0f} s")
            time.sleep(POLL_SECONDS)

    def task(self, task_id: str) -> Mapping[str, Any]:
        return self.client.task(task_id)

    def runner_pids(self) -> list[int]:
        files = (self.data / "runners").glob("*/runner.json")
        return [int(json.loads(file.read_bytes())["pid"]) for file in files]


@contextmanager
def engine(place: Path, name: str = "engine") -> Iterator[Engine]:
    """`silkmill up` with 4 slots and a fresh data directory below `place`. Raises BenchFailed.

    Left by an exception, Ctrl-C too, nothing of it runs on. The terminal signals the bench only."""
    data = place / name
    data.mkdir()
    command = [sys.executable, "-m", "silkmill", "up", "--data", str(data), "--listen", "127.0.0.1:0"]
    with (data / "up.log").open("wb") as talk:
        process = subprocess.Popen(
            [*command, "--max-runners", str(SLOTS)], stdout=talk, stderr=talk, start_new_session=True
        )
    try:
        _wait_ready(process, data)
        _check_synchronous(data)
        with Client.find(data) as client:
            running = Engine(place, data, process, client)
            try:
                yield running
            finally:
                running.close()
    except BaseException:
        _kill(data)
        raise
    finally:
        process.terminate()
        process.wait()


def _wait_ready(process: subprocess.Popen[bytes], data: Path) -> None:
    while find_server(data) is None:
        if process.poll() is not None:
            raise BenchFailed(f"silkmill up did not start: {(data / 'up.log').read_text()}")
        time.sleep(POLL_SECONDS)


def _kill(data: Path) -> None:
    """A drain would wait for the spiders, and a cut would leave them."""
    command = [sys.executable, "-m", "silkmill", "stop", "--kill", "--data", str(data)]
    subprocess.run(command, capture_output=True, check=False)


def _check_synchronous(data: Path) -> None:
    """Read back from a connection that is made where the engine makes its own."""
    connection = connect(data / "silkmill.db", read_only=True)
    try:
        (level,) = connection.execute("PRAGMA synchronous").fetchone()
    finally:
        connection.close()
    if level != SYNCHRONOUS_FULL:
        raise BenchFailed(f"the store runs with synchronous={level}, not FULL")
