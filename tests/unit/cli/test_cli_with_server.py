"""Every command against a running server: data on stdout, talk on stderr, the exit code of the contract."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.helpers import wait_until
from tests.unit.cli.conftest import Cli, clean_environment, finish, read_until


@pytest.fixture(scope="module")
def done(up: Cli, folder: Path) -> str:
    """The id of a finished task of the folder."""
    result = up("run", str(folder), "--json")
    assert (result.code, result.json["state"]) == (0, "finished"), result
    return str(result.json["id"])


def wait_running(up: Cli, task_id: str) -> None:
    wait_until(lambda: up("show", task_id, "--json").json["state"] == "running", 20)


def test_run_gives_the_log_on_stdout_and_the_states_on_stderr(up: Cli, folder: Path) -> None:
    result = up("run", str(folder))
    assert result.code == 0, result.err
    assert set(result.out.splitlines()) == {b"hello", b"\x1b[31mred", b"no newline at the end"}
    assert "running" in result.err
    last = result.err.splitlines()[-1]
    assert "finished after" in last
    assert last.endswith("3 items")


@pytest.mark.parametrize(("parameter", "code", "state"), [("code=3", 1, "error"), ("count=0", 0, "finished")])
def test_run_ends_with_the_end_of_its_task(
    up: Cli, folder: Path, done: str, parameter: str, code: int, state: str
) -> None:
    result = up("run", "hello", "-a", parameter, "--json")
    assert (result.code, result.json["state"]) == (code, state), result.err


def test_run_of_a_version_with_every_choice(up: Cli, done: str) -> None:
    version = up("show", done, "--json").json["version"]
    result = up("run", f"hello@{version}", "-p", "2", "-t", "a", "-t", "b", "-e", "X=1", "--json")
    assert (result.json["priority"], result.json["tags"]) == (2, ["a", "b"])


def test_detach_wait_and_cancel(up: Cli, done: str) -> None:
    detached = up("run", "hello", "-a", "seconds=60", "--detach")
    assert detached.code == 0
    task_id = detached.out.decode().strip()
    wait_running(up, task_id)
    waiting = up.start("wait", done, task_id, "--json")
    assert up("cancel", task_id).code == 0
    waited = finish(waiting)
    assert waited.code == 3, waited.err
    assert {json.loads(line)["state"] for line in waited.out.splitlines()} == {"finished", "cancelled"}
    assert up("wait", done).code == 0
    again = up("retry", task_id, "--json").json
    assert again["retry_of"] == task_id
    assert up("cancel", again["id"], "--force", "--json").code == 0
    assert up("wait", again["id"]).code == 3


def test_who_waits_for_a_retry_is_told_when_it_comes(up: Cli, tmp_path: Path) -> None:
    (tmp_path / "spider.toml").write_text(
        'name = "failing"\ncommand = "false"\n[retry]\non = ["spider"]\nbackoff = "1h"\nbackoff_max = "1h"\n'
    )
    task_id = up("run", str(tmp_path), "--detach").out.decode().strip()
    wait_until(lambda: up("show", task_id, "--json").json["state"] == "created", 20)
    at = up("show", task_id, "--json").json["next_attempt_at"]
    told = f"created (next attempt at {at[:19]}Z): "
    waiting = up.start("wait", task_id)
    assert waiting.stderr is not None
    assert told.encode() in read_until(waiting.stderr, task_id.encode())
    assert told in up("ps").out.decode()
    assert at[:19] in up("show", task_id).out.decode()
    assert at[:19] in up("why", task_id).out.decode()
    assert up("cancel", task_id).code == 0
    assert finish(waiting).code == 3


def test_submit_makes_a_task_of_each_line(up: Cli, done: str, tmp_path: Path) -> None:
    file = tmp_path / "lines.jsonl"
    file.write_text('{"params": {"count": 1}, "key": "one"}\n{"params": {"count": 2}, "priority": 1}\n\n')
    result = up("submit", "hello", "--params", str(file))
    ids = result.out.decode().split()
    assert (result.code, len(ids)) == (0, 2), result.err
    assert up("wait", *ids).code == 0
    assert [up("show", task_id, "--json").json["items"] for task_id in ids] == [1, 2]
    again = up("submit", "hello", "--params", str(file), "--json").json
    assert (again["count"], again["ids"][0]) == (2, ids[0])
    assert up("wait", *again["ids"]).code == 0


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ('{"params": {}}\n[]\n', 2, "line 2 is no object"),
        ('{"params": {}}\n{"params": \n', 2, "line 2 is not JSON"),
        ('{"params": {}}\n{"params": {"day": "\\ud800"}}\n', 2, "line 2 holds '\\ud800', which is no text"),
        ('{"params": {}}\n{"params": {"nothing": 1}}\n', 2, "line 2: "),
        ('{"params": {}}\n\n{"params": {"nothing": 1}}\n', 2, "line 2 is empty"),
        ('{"params": {}}\n{"spider": "other"}\n', 2, "line 2 names a spider"),
        ("", 2, "0 lines"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_submitted(
    up: Cli, done: str, tmp_path: Path, text: str, code: int, words: str
) -> None:
    file = tmp_path / "lines.jsonl"
    file.write_text(text)
    before = len(up("ps", "-n", "1000", "--json").out.splitlines())
    result = up("submit", "hello", "--params", str(file))
    assert (result.code, words in result.err) == (code, True), result.err
    assert len(up("ps", "-n", "1000", "--json").out.splitlines()) == before


def test_submit_of_a_spider_that_is_not_there(up: Cli, done: str, tmp_path: Path) -> None:
    (tmp_path / "lines.jsonl").write_text("{}\n")
    assert up("submit", "nope", "--params", str(tmp_path / "lines.jsonl")).code == 4


def test_what_failed_is_tried_again_once(up: Cli, done: str) -> None:
    failed = up("run", "hello", "-a", "code=4", "--detach").out.decode().strip()
    assert up("wait", failed).code == 1
    again = [json.loads(line) for line in up("retry", "--failed-since", "1h", "--json").out.splitlines()]
    assert failed in {task["retry_of"] for task in again}
    assert up("wait", *(task["id"] for task in again)).code == 1
    later = up("retry", "--failed-since", "1h", "--json")
    assert failed not in {json.loads(line)["retry_of"] for line in later.out.splitlines()}
    assert up("retry", "--failed-since", "1h", done).code == 2
    assert up("retry").code == 2


def test_limits_of_projects(up: Cli, done: str) -> None:
    assert up("projects", "set", "default", "--max-concurrency", "7", "--json").json["max_concurrency"] == 7
    assert "7 tasks at once" in up("projects", "list").out.decode()
    assert up("projects", "set", "default", "--max-concurrency", "-1").code == 2
    assert up("projects", "set", "default", "--max-concurrency", "0").code == 0


def test_a_task_for_a_label_that_no_node_has_says_so(up: Cli, done: str) -> None:
    task_id = up("run", "hello", "--label", "gpu=1", "--detach").out.decode().strip()
    assert "has the label gpu=1" in up("why", task_id).out.decode()
    assert up("cancel", task_id).code == 0
    assert up("run", "hello", "--node", "nowhere", "--mode", "random", "--detach").code == 2
    waiting = up.start("run", "hello", "--node", "nowhere")
    assert waiting.stderr is not None
    assert b"it waits: no connected node is named nowhere" in read_until(waiting.stderr, b"it waits")
    waiting.send_signal(signal.SIGINT)
    assert finish(waiting).code == 3


def test_a_mistyped_folder_is_named_as_one(up: Cli, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "spiders").mkdir()
    mistyped = subprocess.run(
        [sys.executable, "-m", "silkmill", "run", "spiders/helo", "--data", str(up.data)],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
    )
    assert mistyped.returncode == 4
    assert "there is no folder spiders/helo" in mistyped.stderr
    assert "there is no folder" not in up("run", "spiders/helo").err


def test_wait_tells_the_worst_end(up: Cli, done: str) -> None:
    failed = up("run", "hello", "-a", "code=3", "--detach").out.decode().strip()
    assert up("wait", failed, done).code == 1


@pytest.mark.parametrize("stubborn", [False, True])
def test_ctrl_c_cancels_and_the_second_one_kills(up: Cli, done: str, stubborn: bool) -> None:
    process = up.start("run", "hello", "-a", "seconds=60", "-a", f"stubborn={stubborn}")
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == b"hello\n"
    process.send_signal(signal.SIGINT)
    said = read_until(process.stderr, b"cancelling")
    assert b"--detach" in said
    if stubborn:
        process.send_signal(signal.SIGINT)
        read_until(process.stderr, b"killing")
    assert finish(process).code == 3


def test_ctrl_c_leaves_a_followed_log(up: Cli, done: str) -> None:
    task_id = up("run", "hello", "-a", "seconds=60", "--detach").out.decode().strip()
    process = up.start("logs", task_id, "-f", "--stream", "stdout")
    assert process.stdout is not None
    assert process.stdout.readline() == b"hello\n"
    process.send_signal(signal.SIGINT)
    assert finish(process).code == 130
    assert up("cancel", task_id, "--force").code == 0


def test_ps_lists_and_filters(up: Cli, done: str) -> None:
    table = up("ps", "-n", "1000").out.decode()
    assert table.splitlines()[0].split() == [
        *("ID", "SPIDER", "STATE", "ITEMS", "PROGRESS", "MEMORY", "RUNTIME", "CREATED")
    ]
    assert done[-8:] in table
    listed = [json.loads(line) for line in up("ps", "--json", "-n", "3").out.splitlines()]
    assert len(listed) == 3
    of_spider = up("ps", "--json", "--spider", "default/hello", "-n", "1")
    assert (of_spider.code, of_spider.json["spider"]) == (0, "hello")
    states = {
        json.loads(line)["state"]
        for line in up("ps", "--json", "--state", "error", "--since", "1h").out.splitlines()
    }
    assert states <= {"error"}


@pytest.mark.parametrize("name", ["none", "other/hello"])
@pytest.mark.parametrize("command", [("ps",), ("ps", "--json", "--state", "error"), ("logs",)])
def test_a_spider_that_is_not_there_is_not_found(
    up: Cli, done: str, command: tuple[str, ...], name: str
) -> None:
    result = up(*command, "--spider", name)
    assert (result.code, f"no spider {name!r}; deploy its folder" in result.err) == (4, True)


@pytest.mark.parametrize("command", ["ps", "logs"])
def test_a_spider_without_tasks_has_an_empty_list(up: Cli, tmp_path: Path, command: str) -> None:
    (tmp_path / "spider.toml").write_text('name = "idle"\nproject = "shop"\ncommand = "true"\n')
    assert up("deploy", str(tmp_path)).code == 0
    assert [up(command, "--spider", name).code for name in ("idle", "shop/idle", "default/idle")] == [0, 0, 4]


def test_show_and_why(up: Cli, done: str) -> None:
    assert up("show", done[-8:], "--json").json["id"] == done
    shown = up("show", done).out.decode()
    assert "state:           finished" in shown
    assert "attempt:         1, " in shown
    for line in (
        r"time:            waited \S+, ran \S+",
        r"output:          items 3 \(\S+ a minute\), errors 0, log lines 4, log \d+ B",
        r"used:            memory .+ MiB, CPU \S+, read .+, written .+",
    ):
        assert re.search(f"^{line}$", shown, re.MULTILINE), shown
    assert "has ended finished" in up("why", done).out.decode()
    assert up("why", done, "--json").json["waits_for"] == "nothing"


def test_logs_in_every_way(up: Cli, done: str) -> None:
    assert set(up("logs", done, "--raw").out.splitlines()) == {
        b"hello",
        b"\x1b[31mred",
        b"no newline at the end",
    }
    assert up("logs", done, "--raw", "--stream", "stdout").out == b"hello\nno newline at the end"
    assert up("logs", done, "--grep", "^he").out == b"hello\n"
    assert up("logs", done, "-n", "1").out.startswith(b"[silkmill] ")
    assert up("logs", done, "-f", "--stream", "stdout", "--attempt", "1").out.startswith(b"hello\n")
    lines = [json.loads(line) for line in up("logs", done, "--json").out.splitlines()]
    assert {line["stream"] for line in lines} == {"stdout", "stderr", "system"}


def test_items_in_every_format(up: Cli, done: str) -> None:
    lines = up("items", done).out.splitlines()
    assert lines == [b'{"n": %d, "text": "=1"}' % number for number in range(3)]
    assert json.loads(up("items", done, "--format", "json").out) == [json.loads(line) for line in lines]
    assert up("items", done, "--format", "csv").out.splitlines()[1] == b"0,'=1"
    assert up("items", done, "--with-ids").json["_tid"] == done


@pytest.mark.parametrize("arguments", [("logs",), ("items",), ("show",), ("run",)])
def test_a_terminal_is_not_driven_by_a_spider(up: Cli, done: str, arguments: tuple[str, ...]) -> None:
    target = "hello" if arguments == ("run",) else done
    command = [sys.executable, "-m", "silkmill", *arguments, target, "--data", str(up.data)]
    shown = in_terminal(command)
    assert b"\x1b[31mred" not in shown
    if arguments in (("logs",), ("run",)):
        assert b"\\x1b[31mred" in shown


def in_terminal(command: list[str]) -> bytes:
    """What a command writes to a terminal as its stdout."""
    master, slave = pty.openpty()
    process = subprocess.Popen(command, stdout=slave, stderr=subprocess.DEVNULL, env=clean_environment())
    os.close(slave)
    shown = b""
    try:
        while piece := os.read(master, 4096):
            shown += piece
    except OSError:  # the other end is closed
        pass
    process.wait()
    os.close(master)
    return shown


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("show", "0123456789"), 4),
        (("logs", "0123456789"), 4),
        (("wait", "0123456789"), 4),
        (("cancel", "0123456789"), 4),
        (("retry", "0123456789"), 4),
        (("show", "abc"), 2),
        (("run", "no-such-spider"), 4),
        (("run", "hello@v000000000000"), 4),
        (("run", "hello", "-a", "odd=1"), 2),
        (("run", "hello", "-a", "count=x"), 2),
        (("run", "hello", "-a", "count"), 2),
        (("run", "hello", "-p", "11"), 2),
        (("run", "hello", "-t", ""), 2),
        (("ps", "--tag", ""), 2),
        (("run", "hello", "-e", "SILKMILL_X=1"), 2),
        (("run", "./no/such/folder"), 2),
        (("run", "/etc"), 2),
        (("deploy", "/no/such/folder"), 2),
        (("logs", "last", "--grep", "("), 2),
        (("logs", "last", "--attempt", "9"), 4),
        (("items", "last", "--attempt", "9"), 4),
        (("items", "last", "--format", "xml"), 2),
        (("ps", "--state", "odd"), 2),
        (("ps", "--since", "yesterday"), 2),
        (("ps", "-n", "0"), 2),
        (("wait",), 2),
    ],
)
def test_bad_input_ends_with_its_exit_code_and_a_reason(
    up: Cli, done: str, arguments: tuple[str, ...], code: int
) -> None:
    result = up(*arguments)
    assert result.code == code, result
    assert result.out == b""
    assert "rror: " in result.err


def test_a_wrong_token_is_refused(up: Cli) -> None:
    result = up("ps", env={"SILKMILL_TOKEN": "wrong"})
    assert result.code == 5
    assert "token" in result.err


def test_the_environment_names_the_server(up: Cli, done: str, tmp_path: Path) -> None:
    facts = json.loads((up.data / "server.json").read_text())
    env = {"SILKMILL_URL": facts["url"], "SILKMILL_TOKEN": (up.data / "token").read_text().strip()}
    assert Cli(tmp_path)("show", done, "--json", env=env).json["id"] == done
    without_token = Cli(tmp_path)("ps", env={"SILKMILL_URL": facts["url"]})
    assert (without_token.code, "SILKMILL_TOKEN" in without_token.err) == (5, True)


def test_a_broken_pipe_is_no_error(up: Cli, done: str) -> None:
    command = f"{sys.executable} -m silkmill logs {done} --data {up.data} | true"
    result = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, env=clean_environment()
    )
    assert b"Traceback" not in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "\udcff"),
        ("ps", "--tag", "\udcff"),
        ("logs", "last", "--grep", "\udcff"),
        ("run", "hello", "-e", "A=\udcff"),
    ],
)
def test_arguments_that_are_no_text(up: Cli, done: str, arguments: tuple[str, ...]) -> None:
    result = up(*arguments)
    assert (result.code, result.out) == (2, b"")
    assert result.err == f"error: {arguments[-1]!r} is not UTF-8; only paths may hold other bytes\n"


def test_the_reader_of_a_log_may_have_enough(up: Cli, done: str) -> None:
    """`run` still ends with the end of its task; `logs` has nothing left to do."""
    running = up.start("run", "hello", "-a", "seconds=1", "-a", "code=3")
    assert running.stdout is not None
    running.stdout.readline()
    running.stdout.close()
    assert running.wait(30) == 1
    logs = up.start("logs", done)
    assert logs.stdout is not None and logs.stderr is not None
    logs.stdout.close()
    assert (logs.wait(30), logs.stderr.read()) == (0, b"")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_standard_streams_may_be_closed(up: Cli, done: str, closed: str) -> None:
    command = [sys.executable, "-m", "silkmill", "show", done, "--data", str(up.data)]
    shell = subprocess.run(["sh", "-c", f'exec "$@" {closed}', "sh", *command], env=clean_environment())
    assert shell.returncode == 0
