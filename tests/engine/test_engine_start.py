"""Starting `up` again: what waits and what runs goes on; a second one is refused; any data directory does."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.engine.server import Server, spider_folder, start_time, wait_for
from tests.faults.checker import Evidence
from tests.support.marked import marked

COUNTS = """
import os, time
number = 0
while not os.path.exists(os.environ["STOP"]):
    print('{"type":"INSERT_DATA","payload":{"n":%d}}' % number)
    print("line %d" % number)
    number += 1
    time.sleep(0.005)
print("end at %d" % number)
"""
REFUSED = """
import os
if os.environ["SILKMILL_ATTEMPT"] == "1":
    raise ConnectionRefusedError(111, "refused")
"""
BACKOFF = '[retry]\nmax_attempts = 2\nbackoff = "6s"\n'
LONG_PATH = 200


def kill(server: Server) -> None:
    server.kill()


def cut(server: Server) -> None:
    """Two signals: the second leaves what runs."""
    assert server.process is not None
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "draining" in server.own_log(), "the drain")
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(30)


@pytest.mark.parametrize("end", [kill, cut])
def test_tasks_in_every_state_survive_a_restart(tmp_path: Path, end: Callable[[Server], None]) -> None:
    data, stop = tmp_path / "data", tmp_path / "stop"
    with Server(data, max_runners=2) as server:
        server.deploy(spider_folder(tmp_path, "counts", COUNTS))
        server.deploy(spider_folder(tmp_path, "refused", REFUSED, BACKOFF))
        server.deploy(spider_folder(tmp_path, "quick", "print('ran')\n"))
        done, created = server.submit("quick"), server.submit("refused")
        server.wait(done, "finished")
        server.wait(created, "created")
        running = [server.submit("counts", env={"STOP": str(stop)}) for _ in range(2)]
        for task_id in running:
            server.wait(task_id, "running")
        pending = [server.submit("quick", priority=priority) for priority in (1, 5, 10)]
        processes = wait_for(lambda: living(stop, 2), "both spiders")
        before = {task_id: lasting(server.task(task_id)) for task_id in [done, created, *pending]}

        end(server)
        states = {task.id: task.state for task in Evidence(data).tasks().values()}
        assert [states[task_id] for task_id in (done, created)] == ["finished", "created"]
        assert {states[task_id] for task_id in pending} == {"pending"}
        server.start()
        wait_for(lambda: all(server.task(task_id)["state"] == "running" for task_id in running), "adoption")
        assert living(stop, 2) == processes, "a spider was disturbed"
        assert {task_id: lasting(server.task(task_id)) for task_id in before} == before
        stop.touch()
        for task_id in [*running, *pending, created]:
            assert server.wait(task_id)["state"] == "finished"
        assert server.task(created)["attempt"] == 2
        for task_id in running:
            check_counted(server, task_id)


def living(stop: Path, count: int) -> dict[int, int]:
    found = {pid: start_time(pid) for pid in marked(f"STOP={stop}\0")}
    return found if len(found) == count else {}


def lasting(task: dict[str, Any]) -> dict[str, Any]:
    """What no restart may change; statistics of waiting go on."""
    return {name: value for name, value in task.items() if name != "stats"}


def check_counted(server: Server, task_id: str) -> None:
    """Every number once, in order, as the spider itself counted."""
    *lines, last = server.log(task_id).decode().splitlines()
    count = int(last.removeprefix("end at "))
    assert lines == [f"line {number}" for number in range(count)]
    assert server.items(task_id) == [{"n": number} for number in range(count)]


def test_a_second_up_on_the_same_directory_is_refused(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        server.deploy(spider_folder(tmp_path, "quick", "print('ran')\n"))
        command = [sys.executable, "-m", "silkmill", "up", "--data", str(server.data)]
        second = subprocess.run(
            [*command, "--listen", "127.0.0.1:0"], capture_output=True, text=True, timeout=30, check=False
        )
        assert second.returncode == 5
        assert str(server.data) in second.stderr and str(server.pid) in second.stderr, second.stderr
        assert "Traceback" not in second.stderr and second.stdout == ""
        assert server.facts()["pid"] == server.pid
        assert server.wait(server.submit("quick"))["state"] == "finished"


def test_a_data_directory_with_a_path_of_200_characters(tmp_path: Path) -> None:
    data = tmp_path
    while (left := LONG_PATH - len(str(data))) > 60:
        data /= "d" * min(50, left - 10)
    data /= "d" * (left - 1)
    assert len(str(data)) == LONG_PATH
    stop = tmp_path / "stop"
    with Server(data, max_runners=1) as server:
        server.deploy(spider_folder(tmp_path, "counts", COUNTS))
        task_id = server.submit("counts", env={"STOP": str(stop)})
        server.wait(task_id, "running")
        server.kill()
        server.start()
        wait_for(lambda: server.task(task_id)["items"] > 100, "its items")
        other = server.submit("counts", env={"STOP": str(stop)})
        server.call("POST", f"/tasks/{other}/cancel", {"force": True})
        stop.touch()
        assert server.wait(task_id)["state"] == "finished"
        check_counted(server, task_id)
        assert server.wait(other)["state"] == "cancelled"
        wait_for(lambda: not any((data / "attempts").iterdir()), "the attempt directories to go")
