"""How a task ended is told as it was: exit, exception, limit and signal are never mixed up."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from tests.engine.conftest import Deploy, Run
from tests.engine.server import Server, wait_for
from tests.support.marked import marked

ONCE = "[retry]\nmax_attempts = 1\n"
FOR_EVER = "import time\nprint('began', flush=True)\nwhile True: time.sleep(0.05)\n"
ITEMS_FOR_EVER = """
import itertools, time
for number in itertools.count():
    print('{"type":"INSERT_DATA","payload":{"n":%d}}' % number, flush=True)
    time.sleep(0.02)
"""
REFUSED = """
import urllib.request
try:
    1 / 0
except ZeroDivisionError:
    import traceback; traceback.print_exc()
import socket
free = socket.socket(); free.bind(("127.0.0.1", 0))
socket.create_connection(free.getsockname())
"""
LOGS_ONE_DIES_OF_ANOTHER = """
import logging, socket
free = socket.socket(); free.bind(("127.0.0.1", 0))
for _ in range(3):
    try:
        socket.create_connection(free.getsockname())
    except ConnectionRefusedError:
        logging.exception("retrying after ConnectionError")
raise ValueError("no price on the page")
"""
EXIT_3 = """
import sys, traceback
for number in range(2):
    try:
        raise KeyError("page %d" % number)
    except KeyError:
        traceback.print_exc()
print("giving up", file=sys.stderr)
sys.exit(3)
"""
LEAVES_DAEMONS = """
import os, subprocess, sys
subprocess.Popen(["sh", "-c", "setsid sh -c 'while :; do sleep 0.05; done' & sleep 600 &"])
sys.exit(3)
"""


def ended(task: dict[str, object]) -> tuple[object, ...]:
    return task["state"], task["error_class"], task["exit_code"], task["signal"]


def test_exit_3_is_the_spider_with_its_last_traceback(run: Run) -> None:
    task = run(EXIT_3)
    assert ended(task) == ("error", "spider", 3, None)
    assert task["reason"] == "exit code 3"
    assert "KeyError: 'page 1'" in task["traceback"] and "page 0" not in task["traceback"]
    assert task["attempt"] == 1


def test_exit_3_of_a_spider_that_left_daemons_is_exit_3(run: Run, tmp_path: Path) -> None:
    task = run(LEAVES_DAEMONS, env={"MARK": str(tmp_path)})
    assert ended(task) == ("error", "spider", 3, None)
    assert not marked(f"MARK={tmp_path}\0")


def test_a_refused_connection_that_ends_it_is_the_network(run: Run) -> None:
    task = run(REFUSED, ONCE)
    assert ended(task) == ("error", "network", 1, None)
    assert "ConnectionRefusedError" in task["reason"]
    assert "ConnectionRefusedError" in task["traceback"]


def test_a_connection_error_that_is_only_logged_is_not(run: Run) -> None:
    task = run(LOGS_ONE_DIES_OF_ANOTHER, ONCE)
    assert ended(task) == ("error", "spider", 1, None)
    assert "ValueError: no price on the page" in task["reason"]


@pytest.mark.parametrize(
    ("script", "limit", "value"),
    [(FOR_EVER, "runtime", '"1s"'), (FOR_EVER, "stall", '"1s"'), (ITEMS_FOR_EVER, "items", "5")],
    ids=["runtime", "stall", "items"],
)
def test_a_limit(run: Run, server: Server, tmp_path: Path, script: str, limit: str, value: str) -> None:
    task = run(script, f"[limits]\n{limit} = {value}\n", env={"MARK": str(tmp_path)})
    assert task["state"] == "error" and task["error_class"] == "limit"
    assert f"limits.{limit} reached" in task["reason"]
    assert [attempt["outcome"] for attempt in task["attempts"]] == ["limit"]
    assert not marked(f"MARK={tmp_path}\0")
    assert server.items(task["id"])[:5] == [{"n": n} for n in range(5 if limit == "items" else 0)]


def test_a_kill_from_outside_is_a_signal_and_no_cancel(
    server: Server, deploy: Deploy, tmp_path: Path
) -> None:
    task_id = server.submit(deploy(FOR_EVER, ONCE), env={"MARK": str(tmp_path)})
    server.wait(task_id, "running")
    (pid,) = wait_for(lambda: marked(f"MARK={tmp_path}\0"), "the spider")
    os.kill(pid, signal.SIGKILL)
    task = server.wait(task_id)
    assert ended(task) == ("error", "spider", None, 9)
    assert task["attempts"][0]["outcome"] == "signal"
    assert "sender unknown" in task["reason"]


def test_the_log_closes_with_the_reason_of_death(run: Run, server: Server) -> None:
    task = run("import sys; sys.stdout.write('no newline'); sys.stdout.flush(); sys.exit(7)")
    frames = server.call("GET", f"/tasks/{task['id']}/log", raw=True).decode().splitlines()
    assert [frame.split(" ", 1)[1] for frame in frames] == ["stdout P no newline", "system F exit code 7"]


def test_fewer_items_than_promised_is_the_spider(run: Run) -> None:
    frame = 'print(\'{"type":"INSERT_DATA","payload":{"a":1}}\')\n'
    assert run(frame, "[outcome]\nmin_items = 1\n")["state"] == "finished"
    task = run(frame, "[outcome]\nmin_items = 2\n")
    assert ended(task) == ("error", "spider", 0, None)
    assert "min_items" in task["reason"] and task["items"] == 1


def test_an_exit_code_may_be_declared_good(run: Run) -> None:
    assert run("raise SystemExit(3)", "[outcome]\nok_exit_codes = [0, 3]\n")["state"] == "finished"
