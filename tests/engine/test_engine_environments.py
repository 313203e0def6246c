"""Environments in the whole engine: shared after a restart, whole after kill -9, told by `why`."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engine.server import Server, spider_folder, wait_for
from tests.support.marked import marked
from tests.support.packages import Index, make_wheel

SCRIPT = "import tinydep; print(tinydep.VERSION)"


@pytest.fixture
def index(tmp_path: Path) -> Index:
    index = Index(tmp_path / "index")
    make_wheel(index.wheels, "tinydep")
    return index


@pytest.fixture(params=["auto", "walk"])
def server(request: pytest.FixtureRequest, tmp_path: Path, index: Index) -> Iterator[Server]:
    env = index.variables | {"SILKMILL_CONTAINMENT": request.param}
    with Server(tmp_path / "data", max_runners=2, env=env) as running:
        folder = spider_folder(tmp_path, "shop", SCRIPT)
        (folder / "requirements.txt").write_text("tinydep\n")
        running.deploy(folder)
        yield running
    for pid in builders(running):  # of a test that has failed
        os.kill(pid, signal.SIGKILL)


def builders(server: Server) -> list[int]:
    return marked(f"SILKMILL_BUILD={server.data / 'envs'}")


def test_an_engine_killed_during_a_build_leaves_nothing_half_made(server: Server, index: Index) -> None:
    index.hold_back()
    task_id = server.submit("shop")
    wait_for(index.starts, "uv to be started")
    assert builders(server)
    why = server.call("GET", f"/tasks/{task_id}/why")
    assert why["waits_for"] == "preparation" and "is built from requirements.txt" in why["text"]
    old = builders(server)
    for pid in old:
        os.kill(pid, signal.SIGSTOP)  # they cannot even notice that their engine is gone
    server.kill()
    server.start()
    wait_for(lambda: len(index.starts("venv")) == 2, "the next attempt to build anew")
    assert not set(old) & set(builders(server)), "no builder of the old engine is alive"
    index.let_pass()
    task = server.wait(task_id, seconds=60)
    assert (task["state"], task["attempt"]) == ("finished", 2), task
    assert server.log(task_id) == b"1.0\n"
    [folder] = (server.data / "envs").iterdir()
    assert (folder / ".ready").exists() and len(index.starts("venv")) == 2
    wait_for(lambda: not builders(server), "the builders to be gone")


def test_after_a_restart_no_uv_is_started(server: Server, index: Index) -> None:
    server.wait(server.submit("shop"), seconds=60)
    starts = index.starts()
    server.kill()
    server.start()
    assert server.wait(server.submit("shop"))["state"] == "finished"
    assert index.starts() == starts


def test_a_builder_whose_engine_was_killed_dies_by_itself(server: Server, index: Index) -> None:
    index.hold_back()
    server.submit("shop")
    wait_for(index.starts, "uv to be started")
    server.kill()
    wait_for(lambda: not builders(server), "the builders to be gone")
    [folder] = (server.data / "envs").iterdir()
    assert not (folder / ".ready").exists()


def test_a_broken_file_is_an_error_at_once(server: Server, tmp_path: Path) -> None:
    folder = spider_folder(tmp_path, "broken", SCRIPT)
    (folder / "requirements.txt").write_text("nowhere-to-be-found\n")
    server.deploy(folder)
    task = server.wait(server.submit("broken"), seconds=60)
    assert (task["state"], task["error_class"], task["attempt"]) == ("error", "system", 1), task
    assert task["reason"].startswith("requirements.txt: uv pip install failed: No solution found"), task
    log = server.call("GET", f"/tasks/{task['id']}/log?stream=system", raw=True)
    assert b"No solution found" in log
    assert list((server.data / "envs").iterdir()) == []
