"""What a spider told and used is known while it runs and after its end, to the API and to `show`."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.engine.server import Server, descendants, spider_folder, wait_for
from tests.support.marked import marked

MIB = 1024 * 1024
BUSY = """
import json, sys, time

def frame(kind, **payload):
    print(json.dumps({"type": kind, "payload": payload}), flush=True)

frame("STATUS", progress=0.25)
block = b"x" * (96 << 20)
for number in range(3):
    frame("ERROR", **{"class": "Odd", "message": str(number)})
frame("INSERT_DATA", n=1)
frame("LOG", level="INFO", message="said", fields={})
while time.process_time() < 0.4:
    pass
frame("STATUS", progress=0.75)
frame("STATUS", message="the progress stands")
for number in range(500):
    print("line", number)
print("\\n\\n" + "x" * 200_000)
print("two\\nlines", file=sys.stderr)
sys.stdout.write("no end")
"""
FAILING = """
import os, sys
if os.environ["SILKMILL_ATTEMPT"] == "1":
    print('{"type": "STATUS", "payload": {"progress": 0.5}}', flush=True)
    print('{"type": "ERROR", "payload": {"class": "A", "message": "b"}}', flush=True)
    sys.exit(3)
"""
HELD = """
import time
print('{"type": "STATUS", "payload": {"progress": 0.5}}', flush=True)
for number in range(2):
    print('{"type": "ERROR", "payload": {"class": "A", "message": "b"}}', flush=True)
print("one line", flush=True)
time.sleep(600)
"""


def frames_of(server: Server, task_id: str, attempt: int = 1) -> int:
    path = f"/tasks/{task_id}/log?attempt={attempt}"
    return bytes(server.call("GET", path, raw=True)).count(b"\n")


def told(task: dict[str, Any]) -> tuple[Any, ...]:
    return task["progress"], task["stats"]["errors"], task["stats"]["log_lines"]


def test_what_a_spider_told_and_used_is_shown_after_its_end(server: Server, run: Any) -> None:
    task = run(BUSY)
    assert task["state"] == "finished", task
    assert told(task) == (0.75, 3, frames_of(server, task["id"]))
    # 500, two empty ones, four pieces of the long one, its end, two of stderr, LOG, and how it ended
    assert task["stats"]["log_lines"] == 500 + 2 + 4 + 2 + 1 + 1 + 1
    assert 96 * MIB < task["stats"]["rss_bytes"] < 160 * MIB
    assert 0.4 <= task["stats"]["cpu_seconds"] < 5


def test_they_are_of_the_latest_attempt(server: Server, run: Any) -> None:
    task = run(FAILING, '[retry]\non = ["spider"]\nmax_attempts = 2\nbackoff = "0s"\n')
    assert (task["state"], task["attempt"]) == ("finished", 2)
    assert told(task) == (None, 0, 1)


def test_a_command_that_cannot_start_used_nothing(server: Server, deploy: Any) -> None:
    task = server.wait(server.submit(deploy("", command="/does/not/exist")))
    assert task["state"] == "error"
    assert told(task) == (None, 0, 1)
    assert (task["stats"]["rss_bytes"], task["stats"]["cpu_seconds"]) == (None, None)


def test_of_a_lost_attempt_is_known_what_it_had_told(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        server.deploy(spider_folder(tmp_path, "held", HELD, "[retry]\nmax_attempts = 1\n"))
        task_id = server.submit("held")
        server.wait(task_id, "running")
        status = server.data / "attempts" / f"{task_id}.1" / "status.json"
        wait_for(lambda: status.exists() and '"rss_bytes":' in status.read_text(), "a look at the spider")
        (runner,) = [pid for facts in server.runners().values() if descendants(pid := facts["pid"])]
        os.kill(runner, signal.SIGKILL)
        task = server.wait(task_id)
        assert (task["state"], task["error_class"]) == ("error", "system")
        assert told(task) == (0.5, 2, frames_of(server, task_id)) == (0.5, 2, 2)
        assert 4 * MIB < task["stats"]["rss_bytes"] < 60 * MIB
        assert task["stats"]["cpu_seconds"] is not None
        assert task["status"] == {"progress": 0.5}
        assert not marked(task_id)


GROWS = """
import json, os, sys, time

def frame(kind, **payload):
    print(json.dumps({"type": kind, "payload": payload}), flush=True)

def wait_for(name):
    while not os.path.exists(os.path.join(os.environ["SIGNS"], name)):
        time.sleep(0.01)

frame("STATUS", progress=0.25, page=3)
wait_for("grow")
for _ in range(2):
    if os.fork() == 0:
        block = bytearray(os.urandom(1 << 20) * 25)
        time.sleep(600)
frame("INSERT_DATA", n=1)
frame("ERROR", **{"class": "Odd", "message": "said"})
wait_for("end")
"""


def grown(server: Server, task_id: str) -> dict[str, Any] | None:
    """The task, once all that it does is shown."""
    task = server.task(task_id)
    stats = task["stats"]
    seen = (
        stats["processes"] == 3 and stats["rss_bytes"] > 50 * MIB and stats["errors"] == stats["items"] == 1
    )
    return task if seen else None


def listed(server: Server, task_id: str) -> dict[str, Any]:
    return next(task for task in server.call("GET", "/tasks")["tasks"] if task["id"] == task_id)


@pytest.mark.parametrize("containment", ["auto", "walk"])
def test_what_a_running_tree_uses_is_shown_within_two_seconds(tmp_path: Path, containment: str) -> None:
    signs = tmp_path / "signs"
    signs.mkdir()
    with Server(tmp_path / "data", env={"SILKMILL_CONTAINMENT": containment}) as server:
        server.deploy(spider_folder(tmp_path, "grows", GROWS))
        task_id = server.submit("grows", env={"SIGNS": str(signs)})
        wait_for(lambda: server.task(task_id)["stats"]["processes"] == 1, "the first look")
        (signs / "grow").touch()
        task = wait_for(lambda: grown(server, task_id), "the grown tree", seconds=4)
        assert (task["progress"], task["status"]) == (0.25, {"progress": 0.25, "page": 3})
        assert task["stats"]["cpu_seconds"] > 0 and task["stats"]["written_bytes"] >= 0
        assert listed(server, task_id)["stats"]["rss_bytes"] > 50 * MIB
        (signs / "end").touch()
        ended = server.wait(task_id)
        assert ended["state"] == "finished"
        assert ended["stats"]["rss_bytes"] >= task["stats"]["rss_bytes"]
        assert (ended["stats"]["processes"], ended["status"]) == (3, task["status"])
        series = server.call("GET", f"/tasks/{task_id}/stats")
        assert max(point["rss_bytes"] or 0 for point in series["points"]) > 50 * MIB
        assert series["points"][-1]["at"] == ended["finished_at"]


def test_a_killed_engine_is_followed_by_one_that_goes_on_counting(tmp_path: Path) -> None:
    signs = tmp_path / "signs"
    signs.mkdir()
    with Server(tmp_path / "data") as server:
        server.deploy(spider_folder(tmp_path, "grows", GROWS))
        task_id = server.submit("grows", env={"SIGNS": str(signs)})
        wait_for(lambda: server.task(task_id)["stats"]["processes"] == 1, "the first look")
        server.kill()
        (signs / "grow").touch()
        server.start()
        task = wait_for(lambda: grown(server, task_id), "the numbers of the next engine")
        assert (task["attempt"], task["progress"]) == (1, 0.25)
        (signs / "end").touch()
        assert server.wait(task_id)["stats"]["processes"] == 3


def test_an_engine_that_leaves_writes_what_it_knows(tmp_path: Path) -> None:
    signs = tmp_path / "signs"
    signs.mkdir()
    with Server(tmp_path / "data") as server:
        server.deploy(spider_folder(tmp_path, "grows", GROWS))
        task_id = server.submit("grows", env={"SIGNS": str(signs)})
        path = f"/tasks/{task_id}/stats?attempt=1"
        before = wait_for(lambda: server.call("GET", path)["points"], "a point")
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: "draining" in server.own_log(), "the drain")
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(30)
        server.start()
        assert server.call("GET", path)["points"][0] == before[0]
        (signs / "grow").touch()
        (signs / "end").touch()
        ended = server.wait(task_id)
        assert server.stop() == 0
        server.start()
        points = server.call("GET", path)["points"]
        assert (points[0], points[-1]["at"]) == (before[0], ended["finished_at"])
        assert (points[-1]["items"], server.task(task_id)["status"]) == (1, {"progress": 0.25, "page": 3})
