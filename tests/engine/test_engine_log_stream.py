"""The live log: a reader that comes back with its last event id misses nothing and sees nothing twice."""

from __future__ import annotations

import json
import random
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.engine.conftest import Deploy, Run
from tests.engine.server import Server, spider_folder, wait_for

TALKS = """
import os, sys, time
for number in range(400):
    os.write(1, b"line %d of attempt %s, first half, " % (number, os.environ["SILKMILL_ATTEMPT"].encode()))
    if number % 7 == 0: time.sleep(0.01)
    os.write(1, b"second half\\n")
if os.environ["SILKMILL_ATTEMPT"] == "1":
    raise ConnectionResetError("gone")
"""
RETRY = '[retry]\nmax_attempts = 2\nbackoff = "1s"\n'


def events(server: Server, task_id: str, last_id: str | None) -> Iterator[dict[str, Any]]:
    """Whole events until the connection ends: {"event", "id", "data"}."""
    request = urllib.request.Request(f"{server.facts()['url']}/api/v1/tasks/{task_id}/log/stream")
    request.add_header("Authorization", f"Bearer {(server.data / 'token').read_text().strip()}")
    if last_id is not None:
        request.add_header("Last-Event-ID", last_id)
    fields: dict[str, Any] = {}
    with urllib.request.urlopen(request, timeout=30) as stream:
        for line in stream:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name and value:
                fields[name] = value
            elif fields:
                yield fields
                fields = {}


class Reader:
    """Gathers what events say, like a page that shows the log."""

    def __init__(self) -> None:
        self.last_id: str | None = None
        self.texts: list[str] = []
        self.connections, self.ended = 0, False

    def read(self, server: Server, task_id: str, at_most: int) -> None:
        """One connection, left after so many log events."""
        self.connections += 1
        for event in events(server, task_id, self.last_id):
            if event["event"] == "end":
                self.ended = True
                return
            if event["event"] == "log":
                self.last_id = event["id"]
                frames = json.loads(event["data"])
                self.texts += [frame["text"] for frame in frames if frame["stream"] == "stdout"]
                at_most -= 1
                if at_most == 0:
                    return


def printed() -> list[str]:
    return [f"line {n} of attempt {a}, first half, second half" for a in (1, 2) for n in range(400)]


def test_a_reader_that_comes_back_sees_every_line_once(server: Server, deploy: Deploy) -> None:
    chance, reader = random.Random(7), Reader()
    task_id = server.submit(deploy(TALKS, RETRY))
    while not reader.ended:
        reader.read(server, task_id, at_most=chance.choice((1, 1, 2, 3)))
    assert reader.connections > 10
    assert reader.texts == printed()


def test_a_restart_of_the_server_between(tmp_path: Path) -> None:
    reader = Reader()
    with Server(tmp_path / "data", max_runners=1) as server:
        server.deploy(spider_folder(tmp_path, "talks", TALKS, RETRY))
        task_id = server.submit("talks")
        for _ in range(3):
            wait_for(lambda: reader.texts or server.task(task_id)["log_bytes"], "the log to begin")
            reader.read(server, task_id, at_most=2)
            server.kill()
            server.start()
        while not reader.ended:
            reader.read(server, task_id, at_most=5)
        assert reader.texts == printed()


def test_ids_stay_valid_after_the_end(run: Run, server: Server) -> None:
    task = run("for n in range(1000): print('line', n)")
    seen = list(events(server, task["id"], None))
    assert [event["event"] for event in seen] == ["state", "log", "end"]
    again = list(events(server, task["id"], seen[1]["id"]))
    assert [event["event"] for event in again] == ["state", "end"]
    from_start = list(events(server, task["id"], "1:0"))
    assert from_start[1]["data"] == seen[1]["data"]


@pytest.mark.parametrize("last_id", ["x", "1", "0:0", "1:-1", "1:99999999999999999999", "1:2:3"])
def test_a_wrong_id_is_refused(run: Run, server: Server, last_id: str) -> None:
    task = run("print('ran')")
    with pytest.raises(urllib.error.HTTPError) as refused:
        next(events(server, task["id"], last_id))
    problem = json.loads(refused.value.read())
    assert refused.value.code == 422
    assert problem["field"] == "Last-Event-ID" and problem["remedy"], problem
