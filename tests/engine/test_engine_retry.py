"""What is tried again, how often, and that the wait between is seen."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from tests.engine.conftest import Deploy, Run
from tests.engine.server import Server

NETWORK = "raise ConnectionRefusedError(111, 'Connection refused')\n"
SPIDER = "raise ValueError('no price')\n"
LIMIT = "import time\nwhile True: time.sleep(0.05)\n"
TWICE = """
import os
if os.environ["SILKMILL_ATTEMPT"] != "3":
    raise TimeoutError("timed out")
print('{"type":"INSERT_DATA","payload":{"attempt":3}}')
"""
SOON = '[retry]\nmax_attempts = 3\nbackoff = "0s"\n'


def outcomes(task: dict[str, Any]) -> list[str]:
    return [attempt["error_class"] for attempt in task["attempts"]]


@pytest.mark.parametrize(
    ("script", "toml", "classes"),
    [
        (NETWORK, SOON, ["network"] * 3),
        (SPIDER, SOON, ["spider"]),
        (SPIDER, SOON + 'on = ["spider"]\n', ["spider"] * 3),
        (NETWORK, SOON + 'on = ["system"]\n', ["network"]),
        (NETWORK, SOON.replace("3", "1"), ["network"]),
        (LIMIT, SOON + '[limits]\nruntime = "1s"\n', ["limit"]),
    ],
    ids=["network", "spider", "spider-on-wish", "network-not-wanted", "one-attempt", "limit"],
)
def test_the_class_decides(run: Run, script: str, toml: str, classes: list[str]) -> None:
    task = run(script, toml)
    assert task["state"] == "error"
    assert outcomes(task) == classes
    assert [attempt["number"] for attempt in task["attempts"]] == list(range(1, len(classes) + 1))
    assert task["next_attempt_at"] is None


def test_the_attempt_that_is_accepted_gives_the_result(run: Run, server: Server) -> None:
    task = run(TWICE, SOON)
    assert (task["state"], task["attempt"]) == ("finished", 3)
    assert [attempt["accepted"] for attempt in task["attempts"]] == [False, False, True]
    assert server.items(task["id"]) == [{"attempt": 3}]
    first = server.call("GET", f"/tasks/{task['id']}/log?attempt=1&stream=stderr&raw=true", raw=True)
    assert b"TimeoutError" in first


def test_the_back_off_is_seen_and_kept(server: Server, deploy: Deploy) -> None:
    task_id = server.submit(deploy(NETWORK, '[retry]\nmax_attempts = 3\nbackoff = "2s"\n'))
    task = server.wait(task_id, "created")
    assert outcomes(task) == ["network"]
    assert "Connection refused" in task["reason"]
    ended = datetime.fromisoformat(task["attempts"][0]["finished_at"])
    planned = datetime.fromisoformat(task["next_attempt_at"])
    assert 0.9 <= (planned - ended).total_seconds() <= 2.2
    why = server.call("GET", f"/tasks/{task_id}/why")
    assert why["state"] == "created" and why["until"] == task["next_attempt_at"], why
    task = server.wait(task_id)
    assert datetime.fromisoformat(task["attempts"][1]["started_at"]) >= planned
    waits = [
        datetime.fromisoformat(later["started_at"]) - datetime.fromisoformat(earlier["finished_at"])
        for earlier, later in zip(task["attempts"], task["attempts"][1:], strict=False)
    ]
    assert 0.9 <= waits[0].total_seconds() <= 3 and 1.9 <= waits[1].total_seconds() <= 5, waits


def test_a_retry_by_hand_is_a_new_task(run: Run, server: Server) -> None:
    task = run(SPIDER, tags=["x"], priority=2)
    again = server.call("POST", f"/tasks/{task['id']}/retry")
    assert again["id"] != task["id"] and again["retry_of"] == task["id"]
    for field in ("project", "spider", "version", "params", "tags", "priority"):
        assert again[field] == task[field]
    server.wait(again["id"], "error")
    assert server.task(task["id"]) == task
