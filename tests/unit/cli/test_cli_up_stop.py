"""`up` and `stop`: one engine a data directory, drained or cut, and nothing left where that was asked."""

from __future__ import annotations

import json
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.helpers import wait_until
from tests.support.marked import marked
from tests.unit.cli.conftest import Cli, clean_environment, end_up, finish, read_until, start_up

MARK = "SILKMILL_TASK_ID="


@pytest.fixture
def running(alone: Cli) -> Iterator[Cli]:
    process = start_up(alone)
    try:
        yield alone
    finally:
        end_up(alone, process)


def up_log(cli: Cli) -> str:
    return (cli.data / "up.log").read_text()


def submit(cli: Cli, folder: Path, *arguments: str) -> str:
    task_id = cli("run", str(folder), "--detach", *arguments).out.decode().strip()
    wait_until(lambda: cli("show", task_id, "--json").json["state"] == "running", 30)
    return task_id


def shown_of(cli: Cli, task_id: str) -> tuple[str, int]:
    task = cli("show", task_id, "--json").json
    return task["state"], task["attempt"]


def spiders_of(task_id: str) -> list[int]:
    """Processes that run for the task."""
    return marked(f"{MARK}{task_id}")


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_the_first_start_prints_the_token_once(running: Cli) -> None:
    token = (running.data / "token").read_text().strip()
    assert up_log(running).count(token) == 1
    (ready,) = [line for line in up_log(running).splitlines() if line.startswith("ready: ")]
    facts = json.loads((running.data / "server.json").read_text())
    assert facts["url"] in ready and str(running.data) in ready
    for name in ("token", "server.json"):
        assert stat.S_IMODE((running.data / name).stat().st_mode) == 0o600
    assert running("stop").code == 0
    process = start_up(running)
    assert up_log(running).count(token) == 1
    end_up(running, process)


def test_a_second_up_is_refused_and_told_who_is_there(running: Cli) -> None:
    facts = json.loads((running.data / "server.json").read_text())
    result = running("up", "--listen", "127.0.0.1:0")
    assert result.code == 5
    assert str(facts["pid"]) in result.err and facts["url"] in result.err
    assert running("ps").code == 0


def test_stop_waits_for_what_runs(running: Cli, folder: Path) -> None:
    task_id = submit(running, folder, "-a", "seconds=4")
    stopped = running("stop")
    assert (stopped.code, "waits for the tasks that run" in stopped.err) == (0, True), stopped.err
    assert not (running.data / "server.json").exists()
    assert running("show", task_id, "--json").json["state"] == "finished"
    assert running("stop").code == 5


def test_the_second_signal_leaves_spiders_running_and_names_them(running: Cli, folder: Path) -> None:
    task_id = submit(running, folder, "-a", "seconds=60")
    pids = spiders_of(task_id)
    server = json.loads((running.data / "server.json").read_text())["pid"]
    os.kill(server, signal.SIGINT)
    wait_until(lambda: "draining" in up_log(running), 10)
    os.kill(server, signal.SIGTERM)
    wait_until(lambda: _ended(server), 20, lambda: up_log(running))
    assert task_id in up_log(running) and "silkmill stop --kill" in up_log(running)
    assert pids and not any(map(gone, pids))
    result = running("stop", "--kill")
    assert result.code == 0, result
    wait_until(lambda: not spiders_of(task_id), 10)


def test_a_run_during_a_drain_says_what_it_waits_for(running: Cli, folder: Path) -> None:
    submit(running, folder, "-a", "seconds=60")
    server = json.loads((running.data / "server.json").read_text())["pid"]
    os.kill(server, signal.SIGTERM)
    wait_until(lambda: "draining" in up_log(running), 10)
    waiting = running.start("run", "hello")
    assert waiting.stderr is not None
    assert b"the engine is draining" in read_until(waiting.stderr, b"it waits")
    waiting.send_signal(signal.SIGINT)
    assert finish(waiting).code == 3


def test_stop_kill_ends_engine_and_spiders_and_the_task_is_run_again(running: Cli, folder: Path) -> None:
    task_id = submit(running, folder, "-a", "seconds=60", "-a", "stubborn=true")
    stopped = running("stop", "--kill")
    assert (stopped.code, f"killed the spider of 1 task: {task_id}" in stopped.err) == (0, True), stopped.err
    assert not spiders_of(task_id)
    assert not (running.data / "server.json").exists()
    left = running("show", task_id, "--json").json  # what the engine had no time to record
    assert (left["state"], left["phase"], [one["outcome"] for one in left["attempts"]]) == (
        "pending",
        None,
        ["given_back"],
    )
    assert running("logs", task_id, "--stream", "stdout", "--raw").out == b"hello\n"
    process = start_up(running)
    try:
        wait_until(lambda: running("show", task_id, "--json").json["attempt"] == 2, 30)
        assert running("cancel", "--force", task_id).code == 0
        assert running("wait", task_id).code == 3
    finally:
        end_up(running, process)


def test_stop_kill_as_often_as_one_likes_fails_no_task(running: Cli, folder: Path) -> None:
    """It is no lost worker, of which the third one would end the task for good."""
    task_id = submit(running, folder, "-a", "seconds=60")
    for number in (1, 2, 3, 4):
        wait_until(lambda number=number: shown_of(running, task_id) == ("running", number), 30)
        assert running("stop", "--kill").code == 0
        process = start_up(running)
    end_up(running, process)


def test_stop_names_what_a_killed_engine_left_and_kill_ends_it(alone: Cli, folder: Path) -> None:
    process = start_up(alone, "--max-runners", "2")
    task_id = submit(alone, folder, "-a", "seconds=60")
    assert alone("run", str(folder)).code == 0  # and so the other runner is idle
    process.kill()
    process.wait()
    (runner,) = [
        facts["pid"]
        for file in alone.data.glob("runners/*/runner.json")
        if (facts := json.loads(file.read_text()))["attempt"]
    ]
    stopped = alone("stop")
    assert stopped.code == 5
    assert f"task {task_id} (runner {runner})" in stopped.err, stopped.err
    assert "silkmill stop --kill" in stopped.err
    killed = alone("stop", "--kill")
    assert killed.code == 0
    assert f"killed the spider of 1 task: {task_id}" in killed.err, killed.err
    assert not spiders_of(task_id)
    assert "no spider was running" in alone("stop", "--kill").err
    assert "stop --kill" not in alone("stop").err


@pytest.mark.parametrize(
    "listen", ["0.0.0.0:6810", "[::]:0", "192.0.2.1:1", "example.org:1", "6810", ":1", "a:b"]
)
def test_up_listens_on_the_loopback_only(alone: Cli, listen: str) -> None:
    result = alone("up", "--listen", listen)
    assert result.code == 2
    assert "127.0.0.1" in result.err
    assert not alone.data.exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("max_runner = 2", "did you mean 'max_runners'"),
        ("max_runners = 0", "max_runners"),
        ('containment = "none"', "containment"),
        ("max_runners =", "silkmill.toml"),
        ('data = "/elsewhere"', "unknown setting 'data'"),
    ],
)
def test_a_wrong_setting_is_named_with_its_file(alone: Cli, text: str, said: str) -> None:
    alone.data.mkdir()
    (alone.data / "silkmill.toml").write_text(text + "\n")
    result = alone("up", "--listen", "127.0.0.1:0")
    assert result.code == 2, result
    assert said in result.err and "silkmill.toml" in result.err


def _ended(pid: int) -> bool:
    """A child of this test stays a zombie until it is waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_up_refuses_other_systems_at_once(alone: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from silkmill.cli.app import run

    monkeypatch.setattr("sys.platform", "darwin")
    assert run(["up", "--data", str(alone.data)]) == 2
    assert clean_environment() and not alone.data.exists()
