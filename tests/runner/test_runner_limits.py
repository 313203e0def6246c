"""The limits of a spec stop a spider with the same steps as a cancel, and are named in the outcome."""

from __future__ import annotations

import signal
import sys
import time

import pytest
from runner_driver import RunnerDriver, wait_until


def test_runtime(runner: RunnerDriver) -> None:
    before = time.monotonic()
    attempt = runner.run(["sh", "-c", "while :; do echo x; sleep 0.05; done"], limits={"runtime": 0.5})
    assert 0.5 <= time.monotonic() - before < 1.5
    outcome = attempt.outcome()
    assert (outcome["limit"], outcome["cancelled"], outcome["signal_sender"]) == ("runtime", False, "us")
    first, last = attempt.system_lines()
    assert first == "stopping the spider: runtime limit of 0.5s"
    assert last == "runtime limit of 0.5s, killed by signal 15, sent by us"


def test_stall_counts_from_the_last_byte(runner: RunnerDriver) -> None:
    script = "for n in 1 2 3 4 5; do echo $n; sleep 0.2; done; sleep 60"
    before = time.monotonic()
    attempt = runner.run(["sh", "-c", script], limits={"stall": 0.5})
    assert 1.3 <= time.monotonic() - before < 2.5
    assert attempt.output() == b"1\n2\n3\n4\n5\n"
    assert attempt.outcome()["limit"] == "stall"


def test_who_ignores_the_limit_is_killed(any_runner: RunnerDriver) -> None:
    script = "trap '' TERM; while :; do sleep 0.05; done"
    attempt = any_runner.run(["sh", "-c", script], limits={"runtime": 0.2, "grace": 0.2})
    outcome = attempt.outcome()
    assert (outcome["limit"], outcome["signal"], outcome["signal_sender"]) == (
        "runtime",
        signal.SIGKILL,
        "us",
    )


def test_items(runner: RunnerDriver) -> None:
    source = """
import time
for n in range(1000):
    print('{"type":"INSERT_DATA","payload":[{"n":%d},{"n":%d}]}' % (2 * n, 2 * n + 1))
time.sleep(60)
"""
    attempt = runner.run([sys.executable, "-u", "-c", source], limits={"items": 7})
    outcome = attempt.outcome()
    assert attempt.items() == b"".join(b'{"n":%d}\n' % n for n in range(7))
    assert (outcome["limit"], outcome["items_count"]) == ("items", 7)
    lines = attempt.system_lines()
    assert lines[0] == "stopping the spider: items limit of 7"
    assert lines[-2].endswith("items beyond the limit were dropped")


@pytest.mark.parametrize(("count", "limit"), [(6, None), (7, "items"), (8, "items")])
def test_items_of_a_spider_that_ends_first(runner: RunnerDriver, count: int, limit: str | None) -> None:
    lines = '{"type":"INSERT_DATA","payload":{}}\n' * count
    outcome = runner.run(["printf", lines], limits={"items": 7}).outcome()
    assert (outcome["limit"], outcome["items_count"]) == (limit, min(count, 7))


def test_a_cancel_during_a_limit_is_told_too(runner: RunnerDriver) -> None:
    attempt = runner.begin(["sh", "-c", "trap '' TERM; sleep 0.6; sleep 60"], limits={"runtime": 0.2})
    wait_until(lambda: attempt.system_lines(), "the limit")
    runner.send(op="cancel", force=True)
    runner.wait_event("done")
    outcome = attempt.outcome()
    assert (outcome["limit"], outcome["cancelled"], outcome["signal"]) == ("runtime", True, signal.SIGKILL)
