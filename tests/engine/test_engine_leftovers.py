"""Ten thousand small tasks leave no file, descriptor, process or cgroup behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.engine.server import Server, descendants, spider_folder, wait_for
from tests.faults.checker import Evidence

COUNT = 10_000
WARM_UP = 40
SLOTS = 4
SPARES, MOST_SPARES = "cache/released", 16
SPARE_NAMES = {"work", "spec.json.new", "outcome.json.new", "log.0"}
"""Directories that wait for the next attempts, with empty files beside the copies in `work`."""
DEPLOYED_NAMES = {"main.py", "spider.toml"}


@pytest.mark.slow
def test_small_tasks_leave_nothing_behind(tmp_path: Path) -> None:
    with Server(tmp_path / "data", max_runners=SLOTS) as server:
        server.deploy(spider_folder(tmp_path, "tiny", "", "", "echo ran"))
        run_all(server, WARM_UP)
        before = wait_for(Settled(server), "the engine to be idle")
        assert before["bytes of released attempts"] == 0
        run_all(server, COUNT)
        wait_for_same(server, before)
        spares = list((server.data / SPARES).iterdir())
        assert len(spares) <= MOST_SPARES
        assert {path.name for spare in spares for path in spare.iterdir()} <= SPARE_NAMES
        assert {path.name for spare in spares for path in (spare / "work").iterdir()} <= DEPLOYED_NAMES


def test_a_spider_that_changes_its_files_changes_them_for_nobody_else(tmp_path: Path) -> None:
    """Though the copies of one attempt serve the next one."""
    script = "cat data.txt; ls; echo spoilt > data.txt; touch more"
    with Server(tmp_path / "data", max_runners=1) as server:
        folder = spider_folder(tmp_path, "selfish", script, "", "sh main.py")
        (folder / "data.txt").write_text("intact\n")
        server.deploy(folder)
        for _ in range(2 * MOST_SPARES):
            task_id = server.submit("selfish")
            server.wait(task_id)
            assert server.log(task_id).split() == [b"intact", b"data.txt", b"main.py", b"spider.toml"]


def run_all(server: Server, count: int) -> None:
    ids = server.submit_many([{"spider": "tiny"}] * count)
    wait_for(lambda: is_idle(server), f"{count} tasks to end", seconds=60 + count / 20)
    states = {task.id: task.state for task in Evidence(server.data).tasks().values()}
    assert {states[task_id] for task_id in ids} == {"finished"}


def is_idle(server: Server) -> bool:
    return not server.call("GET", "/tasks?state=created&state=pending&state=running&state=abnormal&limit=1")[
        "tasks"
    ]


class Settled:
    """What is held when nothing is going on: the same in two looks, with every released directory emptied."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._before: dict[str, Any] = {}

    def __call__(self) -> dict[str, Any] | None:
        held = holdings(self._server)
        is_same, self._before = held == self._before, held
        is_emptied = not any((self._server.data / SPARES).glob("*/spec.json"))
        quiet = not held["attempts"] and held["runners"] == SLOTS and is_emptied
        return held if quiet and is_same else None


def wait_for_same(server: Server, before: dict[str, Any]) -> None:
    """The last bits are released after a task's end."""
    last: dict[str, Any] = {}

    def same() -> bool:
        now = holdings(server)
        last.clear()
        last.update({name: (before[name], now[name]) for name in now if now[name] != before[name]})
        return not last

    try:
        wait_for(same, "what is held to be as before")
    except AssertionError:
        raise AssertionError(f"held before and after: {last}") from None


def holdings(server: Server) -> dict[str, Any]:
    """What the engine holds on this machine; counts where names change with every runner process."""
    runners = server.runners()
    groups = {Path(facts["cgroup"]).parent for facts in runners.values() if facts["cgroup"]}
    sockets = {Path(facts["socket"]).parent for facts in runners.values()}
    return {
        "runners": len(runners),
        "descriptors of up": descriptors(server.pid),
        "descriptors of runners": sum(descriptors(facts["pid"]) for facts in runners.values()),
        "processes below runners": sum(len(descendants(facts["pid"])) for facts in runners.values()),
        "processes below up": len(descendants(server.pid)),
        "groups": sum(path.is_dir() for base in groups for path in base.iterdir()),
        "sockets": sum(1 for folder in sockets for _ in folder.iterdir()),
        "attempts": [path.name for path in (server.data / "attempts").iterdir()],
        "objects": sum(path.is_file() for path in objects(server.data)),
        "files": sorted(other_files(server.data)),
        "bytes of released attempts": sum(
            path.stat().st_size for path in (server.data / SPARES).glob("*/*") if path.is_file()
        ),
    }


def objects(data: Path) -> Iterator[Path]:
    """Of the bucket, but for the body of each bulk submission."""
    return (path for path in (data / "bucket").rglob("*") if path.parent.name != "groups")


def descriptors(pid: int) -> int:
    """Open files but those of the database, of which each reading thread has its own, and connections."""
    count = 0
    for path in Path(f"/proc/{pid}/fd").iterdir():
        try:
            name = path.readlink().name
        except OSError:
            continue
        count += not name.startswith(("silkmill.db", "socket:"))
    return count


def other_files(data: Path) -> Iterator[str]:
    """Those outside of the folders that are counted on their own."""
    for path in data.rglob("*"):
        name = path.relative_to(data).as_posix()
        if not name.startswith(("attempts/", "bucket/", f"{SPARES}/")):
            yield name
