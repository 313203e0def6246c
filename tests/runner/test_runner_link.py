"""A runner outlives its agent, serves the next one, and leaves when it is no longer needed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from runner_driver import RunnerDriver, processes_of, wait_until

from silkmill.protocol import attemptdir

RELEASED = ["sh", "-c", "echo begun; while [ ! -e go ]; do sleep 0.01; done; echo ended"]


def hello(runner: RunnerDriver) -> dict[str, Any]:
    runner.send(op="hello", protocol=1)
    return runner.wait_event("hello")


def test_hello_names_the_attempt_and_its_phase(runner: RunnerDriver) -> None:
    assert hello(runner) == {
        "event": "hello",
        "protocol": 1,
        "pid": runner.process.pid,
        "attempt": None,
        "phase": "idle",
    }
    attempt = runner.begin(["sh", "-c", "while [ ! -e go ]; do sleep 0.01; done; sleep 60 & exit 0"])
    said = hello(runner)
    assert (said["attempt"], said["phase"]) == (str(attempt.directory), "executing")
    (attempt.work / "go").touch()
    runner.wait_event("exited")
    assert hello(runner)["phase"] == "completing"
    runner.wait_event("done")
    assert hello(runner)["phase"] == "idle"


def test_a_lost_agent_disturbs_nobody(runner: RunnerDriver) -> None:
    attempt = runner.begin(RELEASED)
    runner.disconnect()
    pid = processes_of(attempt.marker)
    runner.connect()
    said = hello(runner)
    assert (said["attempt"], said["phase"]) == (str(attempt.directory), "executing")
    assert processes_of(attempt.marker)[:1] == pid[:1]
    (attempt.work / "go").touch()
    runner.wait_event("done")
    assert attempt.output() == b"begun\nended\n"


def test_an_attempt_ends_without_an_agent(runner: RunnerDriver) -> None:
    attempt = runner.begin(RELEASED)
    runner.disconnect()
    (attempt.work / "go").touch()
    wait_until((attempt.directory / "outcome.json").exists, "the outcome")
    runner.connect()
    assert hello(runner)["phase"] == "idle"
    assert attempt.outcome()["exit_code"] == 0
    assert runner.run(["echo", "next"]).output() == b"next\n"


def test_the_newest_connection_counts(runner: RunnerDriver) -> None:
    hello(runner)
    old = runner._connection
    assert old is not None
    runner._connection = None
    runner.connect()
    hello(runner)
    assert old.recv(1) == b""
    old.close()


def test_an_agent_that_does_not_read_holds_nobody_up(runner: RunnerDriver) -> None:
    source = "import time\nfor n in range(300): print(n, flush=True); time.sleep(0.002)"
    attempt = runner.make_attempt([sys.executable, "-c", source])
    runner.send(op="run", dir=str(attempt.directory))
    wait_until((attempt.directory / "outcome.json").exists, "the outcome")
    runner.wait_event("done")
    wrote = [event for event in runner.events if event["event"] == "wrote"]
    assert 2 < len(wrote) <= 1 + attempt_seconds(attempt.outcome()) / 0.01
    assert [event["log"] for event in wrote] == sorted(event["log"] for event in wrote)


def attempt_seconds(outcome: attemptdir.Outcome) -> float:
    def seconds(text: str | None) -> float:
        assert text is not None
        return int(text[11:13]) * 3600 + int(text[14:16]) * 60 + float(text[17:-1])

    return (seconds(outcome["ended_at"]) - seconds(outcome["started_at"])) % 86400


def test_a_busy_runner_refuses(runner: RunnerDriver) -> None:
    attempt = runner.begin(RELEASED)
    other = runner.make_attempt(["true"])
    runner.send(op="run", dir=str(other.directory))
    assert runner.wait_event("refused") == {
        "event": "refused",
        "attempt": str(other.directory),
        "why": "busy",
    }
    (attempt.work / "go").touch()
    assert runner.wait_event("done")["attempt"] == str(attempt.directory)
    assert not (other.directory / "outcome.json").exists()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"version": 2}, "version 2"),
        ({"nonce": ""}, "nonce"),
        ({"ipc": "none"}, "none"),
        ({"limits": None}, "limits"),
    ],
)
def test_a_bad_spec_is_refused(runner: RunnerDriver, change: dict[str, Any], why: str) -> None:
    attempt = runner.make_attempt(["true"])
    spec = json.loads((attempt.directory / "spec.json").read_text())
    (attempt.directory / "spec.json").write_text(json.dumps(spec | change))
    hello(runner)
    before = runner.open_descriptors()
    runner.send(op="run", dir=str(attempt.directory))
    assert why in runner.wait_event("refused")["why"]
    assert runner.open_descriptors() == before
    assert runner.last_slot["attempt"] is None
    assert runner.run(["true"]).outcome()["exit_code"] == 0


@pytest.mark.parametrize("content", ["", "{", "[]", "null"])
def test_an_unreadable_spec_is_refused(runner: RunnerDriver, content: str) -> None:
    attempt = runner.make_attempt(["true"])
    (attempt.directory / "spec.json").write_text(content)
    runner.send(op="run", dir=str(attempt.directory))
    assert str(attempt.directory) in runner.wait_event("refused")["why"]


def test_a_missing_attempt_directory_is_refused(runner: RunnerDriver) -> None:
    runner.send(op="run", dir="/no/such/attempt")
    assert "/no/such/attempt" in runner.wait_event("refused")["why"]


def test_a_stranger_on_the_socket_is_hung_up_on(runner: RunnerDriver) -> None:
    attempt = runner.begin(RELEASED)
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(str(runner.socket_path))
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
        stranger.settimeout(5)
        while stranger.recv(4096):  # events may come first
            pass
    runner.connect()
    assert hello(runner)["attempt"] == str(attempt.directory)
    for odd in ("[]", "1", '{"op":"dance"}', '{"op":"run"}'):
        assert runner._connection is not None
        runner._connection.sendall(odd.encode() + b"\n")
    assert hello(runner)["phase"] == "executing"


def test_runner_json_tells_who_holds_what(any_runner: RunnerDriver) -> None:
    runner = any_runner
    slot = runner.last_slot
    stat = Path(f"/proc/{runner.process.pid}/stat").read_text()
    assert (slot["pid"], slot["start_time"]) == (runner.process.pid, int(stat.rsplit(")", 1)[1].split()[19]))
    assert slot["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert (slot["socket"], slot["protocol"], slot["attempt"]) == (str(runner.socket_path), 1, None)
    assert (slot["cgroup"] is None) == (runner.cgroup_base == "")
    attempt = runner.begin(RELEASED)
    assert runner.last_slot == slot | {"attempt": str(attempt.directory)}
    (attempt.work / "go").touch()
    runner.wait_event("done")
    assert runner.last_slot == slot


def assert_left(runner: RunnerDriver, seconds: float = 5.0) -> None:
    assert runner.process.wait(timeout=seconds) == 0, runner.runner_log()
    assert [path.name for path in runner.slot.iterdir()] == ["runner.log"]
    assert not runner.socket_path.exists()
    assert runner.runner_log() == ""


def test_an_idle_runner_retires_at_once(any_runner: RunnerDriver) -> None:
    group = any_runner.last_slot["cgroup"]
    any_runner.send(op="retire")
    assert_left(any_runner)
    assert group is None or not Path(group).exists()


def test_a_busy_runner_retires_when_its_attempt_is_done(runner: RunnerDriver) -> None:
    attempt = runner.begin(RELEASED)
    runner.send(op="retire")
    other = runner.make_attempt(["true"])
    runner.send(op="run", dir=str(other.directory))
    runner.wait_event("refused")
    (attempt.work / "go").touch()
    runner.wait_event("done")
    assert_left(runner)


@pytest.mark.slow
def test_a_runner_retires_after_a_thousand_tasks_and_leaks_nothing(runner: RunnerDriver) -> None:
    attempt = runner.make_attempt(["true"])
    at_rest = 0
    for number in range(1000):
        runner.send(op="run", dir=str(attempt.directory))
        runner.wait_event("done")
        runner.events.clear()
        if number == 10:
            at_rest = min(runner.open_descriptors() for _ in range(100))
        elif number == 990:
            wait_until(
                lambda most=at_rest: runner.open_descriptors() <= most, "what was opened is closed again"
            )
    assert_left(runner)


@pytest.mark.slow
def test_a_runner_left_alone_for_ten_seconds_leaves(runner: RunnerDriver) -> None:
    runner.disconnect()
    before = time.monotonic()
    assert_left(runner, seconds=15)
    assert time.monotonic() - before > 9.5


@pytest.mark.slow
@pytest.mark.cgroup
@pytest.mark.parametrize("cgroup_base", ["freezer"], indirect=True)
def test_a_tree_that_cannot_be_killed_is_not_called_dead(runner: RunnerDriver, cgroup_base: str) -> None:
    """A process frozen by the v1 freezer does not die of SIGKILL: like one that waits for a dead disk."""
    source = f"""
import os, time
os.mkdir({cgroup_base!r} + "/ice")
if os.fork() == 0:
    open({cgroup_base!r} + "/ice/cgroup.procs", "w").write("0")
    open("here", "w").write(str(os.getpid()))
    time.sleep(60)
while not os.path.exists("here"): time.sleep(0.01)
open({cgroup_base!r} + "/ice/freezer.state", "w").write("FROZEN")
"""
    attempt = runner.python(source)
    outcome = attempt.outcome()
    try:
        frozen = int((attempt.work / "here").read_text())
        assert (outcome["verified"], outcome["survivors"]) == (False, [frozen])
        assert (outcome["exit_code"], outcome["leftovers"]) == (0, 1)
        assert attempt.system_lines()[-1].endswith(f"still alive: {frozen}")
        assert runner.process.wait(timeout=5) == 0
    finally:
        Path(cgroup_base, "ice", "freezer.state").write_text("THAWED")


def test_sigterm_ends_an_idle_runner(runner: RunnerDriver) -> None:
    runner.run(["true"])
    hello(runner)  # the slot is free by now
    os.kill(runner.process.pid, signal.SIGTERM)
    assert_left(runner)


def test_signals_do_not_end_a_runner_that_has_a_spider(runner: RunnerDriver) -> None:
    attempt = runner.begin(RELEASED)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(runner.process.pid, number)
    (attempt.work / "go").touch()
    runner.wait_event("done")
    assert attempt.outcome()["exit_code"] == 0


def test_a_deep_data_directory(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    runner = RunnerDriver(deep)
    try:
        assert runner.run(["pwd"]).output().strip().endswith(b"/work")
    finally:
        runner.close()


def test_an_agent_that_leaks_descriptors_leaks_them_to_no_spider(tmp_path: Path) -> None:
    leak = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(leak, True)
    runner = RunnerDriver(tmp_path, pass_fds=(leak,))
    try:
        listed = runner.run(["sh", "-c", "readlink /proc/self/fd/*; true"]).output().decode()
        assert f"{tmp_path}\n" not in listed
    finally:
        runner.close()
        os.close(leak)


def test_a_leaving_runner_lets_its_successor_be(runner: RunnerDriver) -> None:
    """Its slot may have been given to another runner while it was still on its way out."""
    successor = runner.last_slot | {"pid": 1}
    (runner.slot / "runner.json").write_text(json.dumps(successor))
    runner.socket_path.unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as its_socket:
        its_socket.bind(str(runner.socket_path))
        runner.send(op="retire")
        assert runner.process.wait(timeout=5) == 0, runner.runner_log()
        assert runner.last_slot == successor
        assert runner.socket_path.exists()
    assert not (runner.slot / "runner.json.new").exists()


def test_a_runner_whose_slot_was_removed_leaves_in_order(runner: RunnerDriver) -> None:
    runner.socket_path.unlink()
    shutil.rmtree(runner.slot)
    runner.send(op="retire")
    assert runner.process.wait(timeout=5) == 0
