"""Cancel: ask, terminate, kill; each step only when it is due, and the truth about it afterwards."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from runner_driver import NONCE, Attempt, RunnerDriver, processes_of, wait_until

HELLO = f'\x1e{NONCE} {{"type":"HELLO","payload":{{"sdk":"python/1"}}}}\n'
STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: print("no", flush=True))
if os.fork() == 0:
    os.setsid()
    if os.fork(): os._exit(0)
    while True: time.sleep(1)
print("ready", flush=True)
while True:
    try: time.sleep(1)
    except BaseException: pass
"""


def wait_output(attempt: Attempt, text: bytes) -> None:
    wait_until(lambda: text in attempt.output(), f"{text!r} in the log")


def cancel(runner: RunnerDriver, force: bool = False) -> float:
    """Returns the seconds until the attempt was done."""
    before = time.monotonic()
    runner.send(op="cancel", force=force)
    runner.wait_event("done")
    return time.monotonic() - before


def test_a_spider_without_hello_gets_sigterm_at_once(any_runner: RunnerDriver) -> None:
    attempt = any_runner.begin(
        ["sh", "-c", "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.01; done"]
    )
    wait_output(attempt, b"ready")
    assert cancel(any_runner) < 1.5
    outcome = attempt.outcome()
    assert attempt.output() == b"ready\nbye\n"
    assert (outcome["cancelled"], outcome["exit_code"], outcome["signal"]) == (True, 7, None)
    assert attempt.system_lines() == ["stopping the spider: cancel", "stopped by cancel, exit code 7"]


def test_sigterm_goes_to_the_whole_group(any_runner: RunnerDriver) -> None:
    attempt = any_runner.begin(["sh", "-c", "echo ready; sleep 60"])
    wait_output(attempt, b"ready")
    assert cancel(any_runner) < 1.0
    outcome = attempt.outcome()
    assert (outcome["signal"], outcome["signal_sender"], outcome["leftovers"]) == (signal.SIGTERM, "us", 0)


def test_who_ignores_sigterm_is_killed_after_the_grace(any_runner: RunnerDriver) -> None:
    attempt = any_runner.begin([sys.executable, "-c", STUBBORN], limits={"grace": 0.5})
    wait_output(attempt, b"ready")
    assert 0.5 <= cancel(any_runner) < 1.5
    outcome = attempt.outcome()
    assert processes_of(attempt.marker) == []
    assert b"no\n" in attempt.output()
    assert (outcome["signal"], outcome["signal_sender"], outcome["cancelled"]) == (signal.SIGKILL, "us", True)
    assert outcome["verified"]


def test_force_skips_the_graces(any_runner: RunnerDriver) -> None:
    attempt = any_runner.begin([sys.executable, "-c", STUBBORN])
    wait_output(attempt, b"ready")
    assert cancel(any_runner, force=True) < 1.0
    assert processes_of(attempt.marker) == []
    assert b"no\n" not in attempt.output()
    assert attempt.outcome()["signal"] == signal.SIGKILL


def test_a_second_cancel_can_force(any_runner: RunnerDriver) -> None:
    attempt = any_runner.begin([sys.executable, "-c", STUBBORN])
    wait_output(attempt, b"ready")
    any_runner.send(op="cancel", force=False)
    wait_output(attempt, b"no")
    any_runner.send(op="cancel", force=False)  # changes nothing: the grace of 10 s goes on
    assert cancel(any_runner, force=True) < 1.0
    assert attempt.output().count(b"no\n") == 1
    assert attempt.system_lines()[:2] == ["stopping the spider: cancel", "stopping the spider: cancel forced"]


def test_a_spider_that_said_hello_is_asked_first(runner: RunnerDriver) -> None:
    source = f"""
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: print("terminated", flush=True))
print({HELLO!r}, end="", flush=True); print("ready", flush=True)
print("got", sys.stdin.readline(), end="", flush=True)
"""
    attempt = runner.begin([sys.executable, "-c", source])
    wait_output(attempt, b"ready")
    assert cancel(runner) < 1.0
    assert attempt.output() == b'ready\ngot {"type":"CANCEL","payload":{"grace_seconds":5}}\n'
    outcome = attempt.outcome()
    assert (outcome["cancelled"], outcome["exit_code"]) == (True, 0)


def test_who_does_not_answer_is_terminated_after_five_seconds(runner: RunnerDriver) -> None:
    source = f'import time; print({HELLO!r}, end="", flush=True); print("ready", flush=True); time.sleep(60)'
    attempt = runner.begin([sys.executable, "-c", source])
    wait_output(attempt, b"ready")
    assert 5.0 <= cancel(runner) < 6.0
    assert attempt.outcome()["signal"] == signal.SIGTERM


def test_an_outcome_before_the_cancel_stands(any_runner: RunnerDriver) -> None:
    attempt = any_runner.begin(["sh", "-c", "sleep 60 & exit 4"])
    any_runner.wait_event("exited")
    cancel(any_runner)
    outcome = attempt.outcome()
    assert (outcome["cancelled"], outcome["exit_code"], outcome["leftovers"]) == (False, 4, 1)


def test_a_cancel_for_nobody_is_ignored(runner: RunnerDriver) -> None:
    runner.send(op="cancel", force=True)
    assert runner.run(["true"]).outcome()["cancelled"] is False


def test_a_stopped_spider_is_killed(any_runner: RunnerDriver) -> None:
    attempt = any_runner.begin(["sh", "-c", "echo $$; kill -STOP $$; echo no"], limits={"grace": 0.2})
    wait_output(attempt, b"\n")
    wait_until(lambda: state_of(int(attempt.output())) == "T", "it to have stopped itself")
    assert cancel(any_runner) < 1.2
    assert attempt.outcome()["signal"] == signal.SIGKILL


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def test_a_spider_that_ended_before_the_cancel_was_read_was_not_cancelled(runner: RunnerDriver) -> None:
    attempt = runner.begin(["sh", "-c", "while [ ! -e go ]; do sleep 0.01; done; exit 4"])
    pid = runner.events[-1]["pid"]
    os.kill(runner.process.pid, signal.SIGSTOP)
    wait_until(lambda: state_of(runner.process.pid) == "T", "the runner to stand still")
    (attempt.work / "go").touch()
    wait_until(lambda: state_of(pid) == "Z", "the end of the spider")
    runner.send(op="cancel", force=True)
    os.kill(runner.process.pid, signal.SIGCONT)
    runner.wait_event("done")
    assert (attempt.outcome()["cancelled"], attempt.outcome()["exit_code"]) == (False, 4)
    assert attempt.system_lines() == ["exit code 4"]


def test_a_repeated_force_says_nothing_new(runner: RunnerDriver) -> None:
    attempt = runner.begin(["sleep", "60"])
    os.kill(runner.process.pid, signal.SIGSTOP)
    for _ in range(3):
        runner.send(op="cancel", force=True)
    os.kill(runner.process.pid, signal.SIGCONT)
    runner.wait_event("done")
    assert attempt.system_lines()[:-1] == ["stopping the spider: cancel forced"]
