"""A Scrapy project under a real runner: its end is told, and a cancel lets it close."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from runner_driver import NONCE, Attempt, RunnerDriver, wait_until

from silkmill.protocol import logframe
from silkmill.worker.prepare.sdk import sdk_folder

SPIDER = """
import scrapy

class Shop(scrapy.Spider):
    name = "shop"
    custom_settings = {"RETRY_TIMES": 0, "ROBOTSTXT_OBEY": False, "TELNETCONSOLE_ENABLED": False}

    def __init__(self, url):
        self.start_urls = [url]

    def parse(self, response):
        yield {"url": response.url}
        yield from (scrapy.Request("%s?%d" % (self.start_urls[0], number)) for number in range(50))
"""


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A port that refuses connections until somebody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken


def begin(runner: RunnerDriver, port: int, *options: str) -> Attempt:
    url = f"url=http://127.0.0.1:{port}/"
    argv = [sys.executable, "-m", "scrapy", "crawl", "shop", "-a", url, *options]
    env = {
        "PYTHONPATH": str(sdk_folder(runner.root / "data")),
        "SILKMILL_IPC_NONCE": NONCE,
        "SCRAPY_SETTINGS_MODULE": "silkmill.sdk.scrapy.settings",
    }
    attempt = runner.make_attempt(argv, env=env)
    write_project(attempt.work)
    runner.send(op="run", dir=str(attempt.directory))
    return attempt


def write_project(folder: Path) -> None:
    (folder / "scrapy.cfg").write_text("[settings]\ndefault = shop\n")
    (folder / "shop.py").write_text("SPIDER_MODULES = ['spiders']\n")
    (folder / "spiders.py").write_text(SPIDER)


def answer(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nok")


def last_status(attempt: Attempt) -> dict[str, Any]:
    said: dict[str, Any] = json.loads((attempt.directory / "status.json").read_text())["status"]
    return said


def test_refused_connections_are_a_failure_of_the_network(
    runner: RunnerDriver, listener: socket.socket
) -> None:
    attempt = begin(runner, listener.getsockname()[1])
    runner.wait_event("done")
    outcome = attempt.outcome()
    assert outcome["exit_code"] == 0 and outcome["fatal"]["class"] == "network"
    assert last_status(attempt)["errors"] == 1


def test_a_cancel_lets_the_spider_close(runner: RunnerDriver, listener: socket.socket) -> None:
    listener.listen()
    attempt = begin(runner, listener.getsockname()[1], "-s", "JOBDIR=job", "-s", "CONCURRENT_REQUESTS=1")
    connection, _ = listener.accept()
    with connection:
        answer(connection)
        connection.recv(65536, socket.MSG_PEEK)  # the next request is under way
        runner.send(op="cancel", force=False)
        wait_until(
            lambda: b"Closing spider (cancelled)" in attempt.output(logframe.STDERR), "the spider to close"
        )
        answer(connection)
        runner.wait_event("done")
    outcome = attempt.outcome()
    assert (outcome["cancelled"], outcome["exit_code"], outcome["fatal"]) == (True, 0, None)
    assert last_status(attempt)["finish_reason"] == "cancelled"
    assert len(attempt.items().splitlines()) == 2
    active = (attempt.work / "job" / "requests.queue" / "active.json").read_text()
    assert json.loads(active) != [], "requests are left for the next run"
