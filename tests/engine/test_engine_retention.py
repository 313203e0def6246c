"""Retention in a real engine: killed at any moment, the next one finishes what it had begun to delete."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from tests.engine.server import Server, spider_folder, wait_for

TALKS = """
import json, sys
for number in range(200):
    print(json.dumps({"type": "INSERT_DATA", "payload": {"n": number, "text": "x" * 500}}))
for number in range(6_000):
    print("line", number, "y" * 60)
"""
TASKS, KEPT = 30, 3


def counted(data: Path) -> dict[str, int]:
    """What is stored of tasks, by kind."""
    with sqlite3.connect(data / "silkmill.db") as database:
        rows = {
            table: database.execute(f"SELECT count(DISTINCT {column}) FROM {table}").fetchone()[0]
            for table, column in (("tasks", "id"), ("items", "task_id"), ("log_tail", "task_id"))
        }
    folders = os.walk(data / "bucket" / "logs")  # passes over those that go meanwhile
    merged = {Path(folder).parent for folder, _, names in folders if "merged-" in " ".join(names)}
    return rows | {"logs": len(merged)}


def tasks_of(server: Server) -> list[dict[str, Any]]:
    return list(server.call("GET", "/tasks?limit=200")["tasks"])


@pytest.mark.parametrize("kills", [0, 4])
def test_so_many_are_kept_and_of_the_others_nothing_is_left(tmp_path: Path, kills: int) -> None:
    data = tmp_path / "data"
    with Server(data) as server:
        server.deploy(spider_folder(tmp_path, "talks", TALKS))
        ids = server.submit_many([{"spider": "talks"}])
        ids += [server.submit("talks") for _ in range(TASKS - 1)]
        for task_id in ids:
            assert server.wait(task_id, seconds=60)["state"] == "finished"
        wait_for(lambda: counted(data)["logs"] == TASKS, "all logs to be merged")
    make_old(data)
    assert counted(data)["tasks"] == TASKS
    with Server(data, env={"SILKMILL_KEEP_TASKS": str(KEPT)}) as server:
        for number in range(kills):
            wanted = TASKS - 5 * (number + 1)
            wait_for(lambda wanted=wanted: counted(data)["tasks"] <= wanted, "some tasks to be gone")
            server.kill()
            server.start()
        wait_for(lambda: len(tasks_of(server)) == KEPT, "the others to be gone")
        left = {task["id"] for task in tasks_of(server)}
        assert left == set(sorted(ids)[-KEPT:])
        wait_for(lambda: counted(data)["logs"] == KEPT, "their logs to be gone")
        assert counted(data) == {"tasks": KEPT, "items": KEPT, "log_tail": 0, "logs": KEPT}
        for task_id in left:
            assert server.log(task_id).count(b"\n") == 6_000
            assert len(server.call("GET", f"/tasks/{task_id}/items", raw=True).splitlines()) == 200


def test_an_object_without_a_record_goes(tmp_path: Path) -> None:
    data = tmp_path / "data"
    left = data / "bucket" / "blobs" / f"{'0' * 64}-1700000000000-01234567"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"content")
    with Server(data):
        wait_for(lambda: not left.exists(), "it to be gone")


def make_old(data: Path) -> None:
    """As if the logs had been merged, and the submission of many made, some days ago."""
    with sqlite3.connect(data / "silkmill.db") as database:
        for task_id, document in database.execute("SELECT id, doc FROM tasks").fetchall():
            task = json.loads(document)
            task["group"] = None
            for closed in task["history"]:
                closed["chunks_deleted"] = True
            database.execute(
                "UPDATE tasks SET doc = ?, upkeep_at = NULL, group_key = NULL WHERE id = ?",
                (json.dumps(task).encode(), task_id),
            )
            database.execute("DELETE FROM log_tail")
