"""Scrapyd with 4 processes at a time, run in the folder of a Scrapy project.

So its jobs import plain files: those of an egg would be read out of an archive, job by job."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

MAX_PROC = 4
POLL_INTERVAL = 0.01
"""Of its own look into its queue. With 0 it would look without a pause, and take the time of its spiders."""
LOOK_SECONDS = 0.02
"""Between two of our looks at it: each is a call that it answers beside its work."""
MANY = 1_000_000
PROJECT = "default"
CONFIGURATION = f"""
[scrapyd]
bind_address = 127.0.0.1
http_port = {{port}}
poll_interval = {POLL_INTERVAL}
max_proc = {MAX_PROC}
items_dir = items
jobs_to_keep = {MANY}
finished_to_keep = {MANY}
"""


class Scrapyd:
    """What the row asks of it. Its answers are JSON over a kept connection."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._connection = http.client.HTTPConnection("127.0.0.1", port)

    def run(self, spider: str, count: int) -> tuple[float, list[Path]]:
        """Schedule so many jobs; seconds until all have ended, and the files with their items."""
        ended = self._status()["finished"] + count
        start = time.perf_counter()
        jobs = [self._schedule(spider) for _ in range(count)]
        while self._status()["finished"] < ended:
            time.sleep(LOOK_SECONDS)
        seconds = time.perf_counter() - start
        return seconds, [self._folder / "items" / PROJECT / spider / f"{job}.jl" for job in jobs]

    def close(self) -> None:
        self._connection.close()

    def _schedule(self, spider: str) -> str:
        form = urlencode({"project": PROJECT, "spider": spider})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return str(self._ask("POST", "/schedule.json", form, headers)["jobid"])

    def _status(self) -> dict[str, Any]:
        return self._ask("GET", "/daemonstatus.json")

    def _ask(
        self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        self._connection.request(method, path, body, headers or {})
        answer: dict[str, Any] = json.loads(self._connection.getresponse().read())
        if answer["status"] != "ok":
            raise RuntimeError(f"Scrapyd answers {answer}")
        return answer


@contextmanager
def scrapyd(folder: Path) -> Iterator[Scrapyd]:
    """Serving the Scrapy project in `folder`, where it also keeps what it writes."""
    port = _free_port()
    (folder / "scrapyd.conf").write_text(CONFIGURATION.format(port=port))
    command = [sys.executable, "-m", "scrapyd", "--pidfile="]
    with (folder / "scrapyd.log").open("wb") as talk:
        process = subprocess.Popen(command, cwd=folder, stdout=talk, stderr=talk, start_new_session=True)
    try:
        _wait_ready(process, port, folder / "scrapyd.log")
        running = Scrapyd(folder, port)
        try:
            yield running
        finally:
            running.close()
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # it would leave its spiders behind
        process.wait()


def _wait_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    while True:
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        if process.poll() is not None:
            raise RuntimeError(f"Scrapyd did not start: {log.read_text()}")
        time.sleep(LOOK_SECONDS)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
