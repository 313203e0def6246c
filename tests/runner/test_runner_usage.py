"""What the process tree of a spider uses is seen while it runs, and the most of it is known at the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from resource import struct_rusage
from typing import Any

import pytest
from runner_driver import Attempt, RunnerDriver, wait_until

from silkmill.runner.clock import NEVER
from silkmill.runner.outcome import blank_outcome
from silkmill.runner.usage import TreeUsage

MIB = 1 << 20
SLEEP = ["sleep", "60"]
# 50 MiB in all, spread over the main process, a child, and a daemon that has left the tree.
SPREAD = """
import os, time
block = bytearray(os.urandom(1 << 20) * 10)
if os.fork() == 0:
    block = bytearray(os.urandom(1 << 20) * 20)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            block = bytearray(os.urandom(1 << 20) * 20)
            time.sleep(60)
        os._exit(0)
    os.wait()
    time.sleep(60)
time.sleep(60)
"""
BURNS = """
import os, sys, time
def burn(seconds):
    while time.process_time() < seconds: pass
for _ in range(2):
    if os.fork() == 0:
        burn(0.3)
        os._exit(0)
os.wait()
os.wait()
burn(0.2)
with open("block", "wb") as file:
    file.write(os.urandom(3 << 20))
    os.fsync(file.fileno())
print("done", flush=True)
sys.stdin.read()
"""


def usage(attempt: Attempt) -> dict[str, Any]:
    """The latest look; nothing before the first."""
    try:
        found = json.loads((attempt.directory / "status.json").read_text())["usage"]
    except FileNotFoundError:
        return {}
    return dict(found or {})


def end(runner: RunnerDriver, attempt: Attempt) -> dict[str, Any]:
    runner.send(op="cancel", force=True)
    runner.wait_event("done")
    return dict(attempt.outcome())


def test_the_whole_tree_counts_and_nothing_else(any_runner: RunnerDriver) -> None:
    attempt = any_runner.begin([sys.executable, "-c", SPREAD])
    wait_until(lambda: usage(attempt).get("rss_bytes", 0) > 50 * MIB, "50 MiB in use")
    used = wait_until(lambda: usage(attempt).get("processes") == 3 and usage(attempt), "three processes")
    assert used["rss_bytes"] < 150 * MIB
    assert used["max_rss_bytes"] >= used["rss_bytes"] and used["max_processes"] >= 3
    outcome = end(any_runner, attempt)
    # more than the largest process, which is all that the kernel tells of the dead
    assert 50 * MIB < used["max_rss_bytes"] <= outcome["max_rss_bytes"]
    assert outcome["max_processes"] >= 3


def test_dead_children_stay_counted(any_runner: RunnerDriver) -> None:
    attempt = any_runner.begin([sys.executable, "-c", BURNS])
    used = wait_until(
        lambda: usage(attempt).get("cpu_seconds", 0) >= 0.7 and usage(attempt), "the time of all three"
    )
    used = wait_until(lambda: usage(attempt).get("written_bytes", 0) >= 3 * MIB and usage(attempt), "3 MiB")
    outcome = end(any_runner, attempt)
    assert used["cpu_seconds"] <= outcome["cpu_seconds"] < 5
    assert used["written_bytes"] <= outcome["written_bytes"] < 20 * MIB
    assert outcome["read_bytes"] >= used["read_bytes"]


def test_neither_the_runner_nor_a_task_before_counts(any_runner: RunnerDriver) -> None:
    source = "import time\nb = b'x' * (60 << 20)\nwhile time.process_time() < 1: pass"
    assert any_runner.python(source).outcome()["cpu_seconds"] >= 1  # type: ignore[operator]
    attempt = any_runner.begin(SLEEP)
    used = wait_until(lambda: usage(attempt), "a look")
    assert (used["processes"], used["max_processes"]) == (1, 1)
    assert used["rss_bytes"] < 8 * MIB
    assert used["cpu_seconds"] < 0.2
    end(any_runner, attempt)


def test_a_short_task_is_not_looked_at(any_runner: RunnerDriver) -> None:
    attempt = any_runner.run(["true"])
    assert not (attempt.directory / "status.json").exists()
    outcome = attempt.outcome()
    assert (outcome["max_processes"], outcome["max_rss_bytes"] is None) == (None, False)
    assert (outcome["read_bytes"], outcome["written_bytes"]) != (None, None)


def test_a_command_that_cannot_start_used_nothing(runner: RunnerDriver) -> None:
    outcome = runner.run(["/does/not/exist"]).outcome()
    told = [outcome[name] for name in ("max_rss_bytes", "max_processes", "cpu_seconds", "read_bytes")]  # type: ignore[literal-required]
    assert told == [None] * 4


def test_what_a_spider_gives_is_told_with_what_it_uses(runner: RunnerDriver) -> None:
    source = """
import time
for n in range(60):
    print('{"type":"INSERT_DATA","payload":{"n":%d}}' % n); print("line"); time.sleep(0.05)
"""
    attempt = runner.begin([sys.executable, "-c", source])

    def given() -> tuple[int, int]:
        try:
            told = json.loads((attempt.directory / "status.json").read_text())
        except FileNotFoundError:
            return 0, 0
        return told["items"], told["log_lines"]

    first = wait_until(lambda: given() != (0, 0) and given(), "a count")
    wait_until(lambda: given() > first, "a greater one")
    assert end(runner, attempt)["items_count"] >= given()[0] > 0


HIDDEN = """
import ctypes, sys
ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE
print("hidden", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def hidden() -> Iterator[subprocess.Popen[bytes]]:
    """A process whose I/O may not be seen, as if another user had it."""
    command = [sys.executable, "-c", HIDDEN]
    user = os.geteuid()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"hidden\n"
        if user == 0:  # may see all
            os.seteuid(65534)
        yield process
        os.seteuid(user)
        process.kill()


def rusage(read_blocks: int) -> struct_rusage:
    return struct_rusage((0.0, 0.0, *[0] * 7, read_blocks, *[0] * 6))


def look_at(
    monkeypatch: pytest.MonkeyPatch, tree: TreeUsage, *pids: int
) -> tuple[int, int | None, int | None]:
    """Processes, bytes from storage, bytes to it."""
    monkeypatch.setattr(_Tree, "members", lambda self: set(pids))
    assert tree.look_if_due(NEVER)
    assert tree.latest is not None
    return tree.latest["processes"], tree.latest["read_bytes"], tree.latest["written_bytes"]


def test_what_may_not_be_seen_is_not_known(
    monkeypatch: pytest.MonkeyPatch, hidden: subprocess.Popen[bytes]
) -> None:
    tree = TreeUsage(_Tree(lambda: None))  # type: ignore[arg-type]
    tree.begin(0.0)
    tree.reaped(rusage(512))
    assert look_at(monkeypatch, tree) == (0, 512 * 512, 0)
    assert look_at(monkeypatch, tree, hidden.pid) == (1, None, None)
    hidden.kill()
    os.waitid(os.P_PID, hidden.pid, os.WEXITED | os.WNOWAIT)
    assert look_at(monkeypatch, tree, hidden.pid) == (0, 512 * 512, 0), "it is dead, and will be reaped"
    tree.reaped(rusage(8))
    assert look_at(monkeypatch, tree) == (0, 520 * 512, 0)
    outcome = blank_outcome()
    tree.describe(outcome)
    assert (outcome["read_bytes"], outcome["written_bytes"]) == (520 * 512, 0)


class _Tree:
    """This process, and what it costs to find that."""

    def __init__(self, cost: Callable[[], object]) -> None:
        self._cost = cost

    def members(self) -> set[int]:
        self._cost()
        return {os.getpid()}


def pause_after_a_look(cost: Callable[[], object]) -> float:
    """Seconds to the next one."""
    tree = TreeUsage(_Tree(cost))  # type: ignore[arg-type]
    tree.begin(100.0)
    assert not tree.look_if_due(100.4)
    assert tree.look_if_due(100.5)
    assert tree.latest is not None and tree.latest["processes"] == 1
    return tree.due_at - 100.5


@pytest.mark.parametrize(("seconds", "pause"), [(0.001, 1.0), (0.1, 5.0), (60.0, 10.0)])
def test_looks_that_take_long_are_rare(monkeypatch: pytest.MonkeyPatch, seconds: float, pause: float) -> None:
    clock = [0.0]
    monkeypatch.setattr("silkmill.runner.usage.thread_time", lambda: clock[0])
    assert pause_after_a_look(lambda: clock.append(clock.pop() + seconds)) == pytest.approx(pause)


def test_a_look_that_was_interrupted_is_followed_by_the_next_in_time() -> None:
    assert pause_after_a_look(lambda: time.sleep(0.2)) == pytest.approx(1.0)


def test_a_process_that_is_gone_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = TreeUsage(_Tree(lambda: None))  # type: ignore[arg-type]
    monkeypatch.setattr(_Tree, "members", lambda self: {2**22 + 1})
    tree.begin(0.0)
    assert tree.look_if_due(10.0)
    assert tree.latest is not None and tree.latest["processes"] == tree.latest["rss_bytes"] == 0
