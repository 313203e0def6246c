"""Commands where no server runs: `run` brings its own engine, readers read, the rest says what to do."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.helpers import wait_until
from tests.unit.cli.conftest import Cli, clean_environment, end_up, finish, start_up

from silkmill.cli import embedded
from silkmill.cli.follow import Follower
from silkmill.cli.logprint import LogPrinter
from silkmill.client.client import Client
from silkmill.client.errors import ConnectionLost
from silkmill.client.server import Server
from silkmill.runner.processes import start_time


def test_run_brings_its_engine_and_leaves_nothing_running(alone: Cli, folder: Path) -> None:
    result = alone("run", str(folder))
    assert result.code == 0, result.err
    assert b"no newline at the end" in result.out
    assert not (alone.data / "server.json").exists()
    wait_until(lambda: not list(alone.data.glob("runners/*/runner.json")), 20)
    assert alone("ps", "--json").json["state"] == "finished"


def test_readers_read_the_data_directory(alone: Cli, folder: Path) -> None:
    task_id = alone("run", str(folder), "--json").json["id"]
    assert alone("show", task_id, "--json").json["id"] == task_id
    assert alone("logs", task_id, "--raw", "--stream", "stdout").out == b"hello\nno newline at the end"
    assert len(alone("items", task_id).out.splitlines()) == 3
    assert "has ended" in alone("why", task_id).out.decode()
    followed = alone("logs", task_id, "-f", "--stream", "stdout")
    assert followed.out.startswith(b"hello\n")
    assert "silkmill up" in followed.err
    assert alone("show", "0123456789").code == 4


def test_tasks_of_a_spider_whose_record_is_gone_are_listed(alone: Cli, folder: Path) -> None:
    """Where none of them fits what else was asked for, the list is empty and the spider is known."""
    task_id = alone("run", str(folder), "--json").json["id"]
    with closing(sqlite3.connect(alone.data / "silkmill.db")) as database, database:
        assert database.execute("DELETE FROM records WHERE kind = 'spider'").rowcount == 1
    assert alone("ps", "--spider", "hello", "--json").json["id"] == task_id
    for arguments in (("ps", "--state", "error", "--json"), ("logs", "--grep", "nowhere")):
        result = alone(*arguments, "--spider", "hello")
        assert (result.code, result.out) == (0, b"")
    assert alone("ps", "--spider", "other").code == 4


@pytest.mark.parametrize(
    "arguments",
    [("run", "hello", "--detach"), ("cancel", "last"), ("wait", "last"), ("retry", "last"), ("deploy", ".")],
)
def test_what_needs_a_server_says_so(alone: Cli, arguments: tuple[str, ...]) -> None:
    result = alone(*arguments)
    assert (result.code, result.out) == (5, b"")
    assert "start silkmill up" in result.err
    assert not alone.data.exists()


def test_a_directory_that_nobody_used(alone: Cli) -> None:
    assert alone("ps").code == 0
    assert alone("show", "last").code == 4
    assert alone("stop").code == 5
    assert not alone.data.exists()


def test_a_bad_folder_starts_no_task(alone: Cli, tmp_path: Path) -> None:
    (tmp_path / "spider.toml").write_text('name = "x"\ncomand = "true"\n')
    result = alone("run", str(tmp_path))
    assert result.code == 2
    assert "command" in result.err
    assert alone("ps", "--json").out == b""


def test_a_second_run_joins_the_first_which_stays_for_it(alone: Cli, folder: Path) -> None:
    first = alone.start("run", str(folder), "-a", "seconds=3")
    wait_until(lambda: (alone.data / "server.json").exists(), 20)
    second = alone.start("run", str(folder), "-a", "seconds=6", "--json")
    first_result, second_result = finish(first), finish(second)
    assert (first_result.code, second_result.code) == (0, 0), (first_result.err, second_result.err)
    assert "waiting for the tasks of other commands" in first_result.err
    assert second_result.json["state"] == "finished"


def test_run_leaves_the_backlog_of_other_commands_alone(alone: Cli, folder: Path) -> None:
    process = start_up(alone, "--max-runners", "1")
    try:
        alone("run", str(folder), "--detach", "-a", "seconds=600")
        for _ in range(3):
            alone("run", "hello", "--detach", "-p", "1")
    finally:
        end_up(alone, process)
    alone("stop", "--kill")
    backlog = alone("ps", "--json").out
    assert backlog.count(b'"state": "pending"') == 4
    result = alone("run", "hello", "-a", "count=1", "--json")
    assert (result.code, result.json["state"]) == (0, "finished"), result.err
    assert result.err.count("waiting for the tasks of other commands") == 0
    after = alone("ps", "--json").out.splitlines()[1:]
    assert [steady(line) for line in after] == [steady(line) for line in backlog.splitlines()]
    assert "start `silkmill up`" in alone("why", json.loads(after[0])["id"]).out.decode()


def steady(line: bytes) -> dict[str, Any]:
    """A task as listed, without the numbers that grow while it waits."""
    task: dict[str, Any] = json.loads(line)
    del task["stats"]
    return task


def test_two_runs_at_once_share_one_engine(alone: Cli, folder: Path) -> None:
    runs = [alone.start("run", str(folder), "--json") for _ in range(2)]
    results = [finish(run) for run in runs]
    assert [result.code for result in results] == [0, 0], results


def test_many_runs_come_and_go_and_none_is_lost_at_the_door(alone: Cli, folder: Path) -> None:
    """Each ends while others join: who finds the engine leaving starts the next one."""
    for _ in range(3):
        runs = []
        for number in range(5):
            runs.append(alone.start("run", str(folder), "-a", f"seconds={number / 10}", "--json"))
            time.sleep(0.3)
        results = [finish(run) for run in runs]
        assert [(result.code, result.json["state"]) for result in results] == [(0, "finished")] * 5, results
    assert alone("ps", "--json").out.count(b'"state": "finished"') == 15


def test_an_engine_that_ends_while_it_is_asked_is_followed_by_the_next(alone: Cli, folder: Path) -> None:
    """It may have taken the task or not: it is asked for again under the same key."""
    alone("run", str(folder))
    with leaving_engine(alone.data, stays_listed=False) as keys:
        result = alone("run", "hello", "--json")
    assert (result.code, result.json["state"]) == (0, "finished"), result.err
    assert len(keys) == 1 and keys[0]
    assert alone("ps", "--json").out.count(b'"state": "finished"') == 2


def test_an_engine_that_never_answers_is_not_asked_for_ever(
    alone: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone("run", str(folder))
    monkeypatch.setattr(embedded, "START_SECONDS", 0.5)
    with (
        leaving_engine(alone.data, stays_listed=True) as keys,
        pytest.raises(ConnectionLost),
        embedded.running(alone.data, lambda client: client.submit({"spider": "hello"}, key="k")),
    ):
        pass
    assert len(keys) > 1 and set(keys) == {"k"}


@contextmanager
def leaving_engine(data: Path, *, stays_listed: bool) -> Iterator[list[str | None]]:
    """A server that hangs up on every submission; gives the keys of those."""
    keys: list[str | None] = []

    class Leaving(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"tasks": []}')

        def do_POST(self) -> None:
            keys.append(self.headers["Idempotency-Key"])
            if not stays_listed:
                (data / "server.json").unlink()

    with HTTPServer(("127.0.0.1", 0), Leaving) as server, thread_of(server):
        pid, url = os.getpid(), f"http://127.0.0.1:{server.server_port}"
        facts = {"url": url, "pid": pid, "start_time": start_time(pid)}
        (data / "server.json").write_text(json.dumps(facts))
        yield keys
    (data / "server.json").unlink(missing_ok=True)


@contextmanager
def thread_of(server: HTTPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


def test_who_hears_of_the_end_too_late_reads_it(
    alone: Cli, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The engine of another `run` was gone before the follower could ask it."""
    task_id = alone("run", str(folder), "--json").json["id"]
    gone = Client(Server("http://127.0.0.1:9", "token"))
    ended = Follower(alone.data, task_id, LogPrinter(), stream="stdout").follow(gone)
    assert ended["state"] == "finished"
    assert capfd.readouterr().out.splitlines() == ["hello", "no newline at the end"]


def test_ctrl_c_cancels_in_an_engine_of_its_own_too(alone: Cli, folder: Path) -> None:
    process = alone.start("run", str(folder), "-a", "seconds=60")
    assert process.stdout is not None
    assert process.stdout.readline() == b"hello\n"
    process.send_signal(signal.SIGINT)
    result = finish(process)
    assert result.code == 3, result
    assert alone("ps", "--json").json["state"] == "cancelled"


def test_what_a_killed_engine_left_running_is_not_waited_for(alone: Cli, folder: Path) -> None:
    killed = alone.start("run", str(folder), "-a", "seconds=600")
    assert killed.stdout is not None
    assert killed.stdout.readline() == b"hello\n"
    killed.kill()
    killed.wait()
    left = alone("ps", "--json").json["id"]
    result = alone("run", str(folder))
    assert result.code == 0, result.err
    assert f"still running since before this command, the next engine goes on with: {left}" in result.err
    assert alone("show", left, "--json").json["state"] == "running"


def test_readers_say_that_nobody_attends_to_what_they_show_as_running(alone: Cli, folder: Path) -> None:
    killed = alone.start("run", str(folder), "-a", "seconds=600")
    assert killed.stdout is not None
    assert killed.stdout.readline() == b"hello\n"
    assert "no engine runs" not in alone("ps").err
    killed.kill()
    killed.wait()
    for arguments in (("ps",), ("ps", "--json"), ("show", "last"), ("why", "last")):
        assert "no engine runs" in alone(*arguments).err, arguments
    alone("stop", "--kill")
    assert alone("ps", "--json").err == ""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&- 2>&-"])
def test_an_engine_lives_without_standard_streams(alone: Cli, folder: Path, closed: str) -> None:
    """Else its database and its sockets would get their numbers."""
    command = [sys.executable, "-m", "silkmill", "run", str(folder), "--data", str(alone.data)]
    shell = subprocess.run(["sh", "-c", f'exec "$@" {closed}', "sh", *command], env=clean_environment())
    assert shell.returncode == 0
    assert alone("ps", "--json").json["state"] == "finished"
