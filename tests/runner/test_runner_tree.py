"""Whatever a spider has started is gone when its attempt is done, daemons too, with and without cgroups."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from runner_driver import Attempt, RunnerDriver, processes_of, wait_until

from silkmill.runner.processes import kill_process, start_time

DAEMON = """
import os, sys, time
def daemon():
    if os.fork(): os.wait(); return
    os.setsid()
    if os.fork(): os._exit(0)
    for stream in range(3) if "quiet" in sys.argv else (0,):
        os.close(stream)
    with open("alive", "ab", buffering=0) as file:
        while True:
            file.write(b"."); time.sleep(0.005)
daemon()
while not os.path.exists("alive"): time.sleep(0.001)
"""


def assert_dead(attempt: Attempt) -> None:
    """Two witnesses of our own: the environment of every process, and a file that must not grow any more."""
    assert processes_of(attempt.marker) == []
    size = (attempt.work / "alive").stat().st_size
    time.sleep(0.05)
    assert (attempt.work / "alive").stat().st_size == size > 0


@pytest.mark.parametrize("daemon", ["quiet", "holds the pipes"])
def test_daemons_are_killed_and_the_exit_code_stands(any_runner: RunnerDriver, daemon: str) -> None:
    attempt = any_runner.make_attempt([sys.executable, "-c", DAEMON + "sys.exit(3)", daemon])
    before = time.monotonic()
    any_runner.send(op="run", dir=str(attempt.directory))
    any_runner.wait_event("exited")
    any_runner.wait_event("done")
    assert time.monotonic() - before < 2.0
    assert_dead(attempt)
    outcome = attempt.outcome()
    assert (outcome["exit_code"], outcome["signal"], outcome["leftovers"]) == (3, None, 1)
    assert outcome["verified"] and outcome["survivors"] == []
    assert attempt.system_lines() == ["exit code 3, 1 processes left behind were killed"]


def test_a_pid_that_was_given_anew_is_not_killed() -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        since = start_time(stranger.pid)
        assert since is not None
        assert not kill_process(stranger.pid, since - 1)
        with pytest.raises(subprocess.TimeoutExpired):
            stranger.wait(timeout=0.1)
        assert kill_process(stranger.pid, since)
    assert stranger.returncode == -9
    assert not kill_process(stranger.pid, since)
    assert start_time(stranger.pid) is None


def test_the_slot_is_used_again_after_daemons(any_runner: RunnerDriver) -> None:
    for _ in range(3):
        attempt = any_runner.run([sys.executable, "-c", DAEMON, "quiet"])
        assert_dead(attempt)
        assert any_runner.run(["sh", "-c", "echo clean"]).output() == b"clean\n"


def test_a_grandchild_that_holds_the_pipe_may_write_for_a_moment(any_runner: RunnerDriver) -> None:
    attempt = any_runner.run(["sh", "-c", "(sleep 0.3; echo late; exec sleep 60) & echo soon"])
    outcome = attempt.outcome()
    assert attempt.output() == b"soon\nlate\n"
    assert outcome["leftovers"] == 1 and outcome["exit_code"] == 0


def test_children_that_are_about_to_end_are_not_killed(any_runner: RunnerDriver) -> None:
    for _ in range(20):
        attempt = any_runner.run(["sh", "-c", "for n in 1 2 3 4 5; do true & done; exit 0"])
        assert attempt.outcome()["leftovers"] == 0


def test_a_tree_that_forks_all_the_time_dies(any_runner: RunnerDriver) -> None:
    source = """
import os, sys, time
if os.fork():
    while not os.path.exists("alive"): time.sleep(0.001)
    os._exit(0)
os.setsid()
while True:  # each lives for a moment: whoever lists processes is always late
    with open("alive", "ab", buffering=0) as file: file.write(b".")
    if os.fork(): os._exit(0)
"""
    attempt = any_runner.run([sys.executable, "-c", source], stdin="null")
    assert attempt.outcome()["verified"]
    assert_dead(attempt)


def test_groups_inside_the_group_are_killed_too(any_runner: RunnerDriver) -> None:
    group = any_runner.last_slot["cgroup"]
    if group is None:
        pytest.skip("walk mode has no group")
    source = f"""
import os
os.mkdir({group!r} + "/inner")
open({group!r} + "/inner/cgroup.procs", "w").write("0")
"""
    attempt = any_runner.run([sys.executable, "-c", source + DAEMON, "quiet"])
    assert_dead(attempt)
    assert attempt.outcome()["verified"]


def test_walk_can_be_forced_where_there_are_cgroups(any_runner: RunnerDriver) -> None:
    attempt = any_runner.run([sys.executable, "-c", DAEMON, "quiet"], containment="walk")
    assert_dead(attempt)
    assert attempt.outcome()["leftovers"] == 1


def test_the_runner_is_not_killed_with_its_group(any_runner: RunnerDriver) -> None:
    attempt = any_runner.begin([sys.executable, "-c", DAEMON + "time.sleep(60)"])
    wait_until((attempt.work / "alive").exists, "the daemon")
    any_runner.send(op="cancel", force=True)
    any_runner.wait_event("done")
    assert_dead(attempt)
    assert any_runner.process.poll() is None
