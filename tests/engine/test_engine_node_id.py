"""A node whose id was deleted by hand: what ran under the old one goes on or is given back, none is stuck."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engine.server import Server, spider_folder, wait_for
from tests.support.marked import marked

HELD = """
import os, time
from pathlib import Path
print("begun by", os.environ["SILKMILL_ATTEMPT"], flush=True)
print('{"type": "INSERT_DATA", "payload": {"n": 1}}', flush=True)
go = Path(os.environ["TEST_GO"])
while not go.exists():
    time.sleep(0.05)
print('{"type": "INSERT_DATA", "payload": {"n": 2}}', flush=True)
"""


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "data", max_runners=2) as server:
        server.deploy(spider_folder(tmp_path, "held", HELD))
        yield server


def begin(server: Server, go: Path) -> str:
    task_id = server.submit("held", env={"TEST_GO": str(go)})
    server.wait(task_id, "running")
    wait_for(lambda: server.task(task_id)["items"] == 1, "the first item")
    return task_id


def lose_id(server: Server, how: str) -> str:
    """The id that the node had."""
    file = server.data / "node"
    before = file.read_text().strip()
    if how == "deleted":
        file.unlink()
    else:
        file.write_bytes(
            {"emptied": b"", "blank": b" \n", "no id": b"\xff\0", "another": b"0123456789abcdef\n"}[how]
        )
    return before


def wait_old_id_is_lost(server: Server, before: str) -> None:
    """The agent registers a moment after the server has begun to answer."""
    wait_for(lambda: nodes_of(server).get(before), "the old id to be lost")
    (new,) = [node for node, lost in nodes_of(server).items() if not lost]
    assert (server.data / "node").read_text().strip() == new


def nodes_of(server: Server) -> dict[str, bool]:
    return {node["id"]: node["lost"] for node in server.call("GET", "/nodes")["nodes"]}


@pytest.mark.parametrize("how", ["deleted", "emptied", "blank", "no id", "another"])
def test_a_running_spider_goes_on_under_the_new_id(up: Server, tmp_path: Path, how: str) -> None:
    task_id = begin(up, go := tmp_path / "go")
    up.kill()
    before = lose_id(up, how)
    up.start()
    wait_old_id_is_lost(up, before)
    assert len(marked(task_id)) == 1
    go.touch()
    task = up.wait(task_id)
    assert (task["state"], task["attempt"], task["node"] != before) == ("finished", 1, True)
    assert up.items(task_id) == [{"n": 1}, {"n": 2}]
    assert up.log(task_id) == b"begun by 1\n"
    wait_for(lambda: not marked(task_id), "no process to be left")


def test_a_spider_that_died_meanwhile_is_begun_again(up: Server, tmp_path: Path) -> None:
    task_id = begin(up, go := tmp_path / "go")
    up.kill()
    up.kill_runners()
    before = lose_id(up, "deleted")
    go.touch()
    up.start()
    task = up.wait(task_id)
    wait_old_id_is_lost(up, before)
    assert (task["state"], task["attempt"]) == ("finished", 2)
    first, second = task["attempts"]
    assert (first["outcome"], first["error_class"], second["outcome"]) == ("lost", "system", "exit")
    assert not marked(task_id)


def test_without_its_attempt_directory_it_is_begun_again_at_once(up: Server, tmp_path: Path) -> None:
    task_id = begin(up, go := tmp_path / "go")
    up.kill()
    lose_id(up, "deleted")
    (up.data / "attempts" / f"{task_id}.1").rename(tmp_path / "moved away")
    go.touch()
    up.start()
    task = up.wait(task_id, seconds=10)  # an orphan would be waited for 15 s
    assert (task["state"], task["attempt"]) == ("finished", 2)
    wait_for(lambda: not marked(task_id), "no process to be left")
