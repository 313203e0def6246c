"""F4c: kill -9 of one runner, whose spider has a daemon of its own, with and without cgroups."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path

from tests.engine.server import Server, spider_folder, wait_for
from tests.faults.board import Profile, Result, Row
from tests.faults.chatter import check_complete, deploy_chatter, start_chatters
from tests.faults.checker import Evidence
from tests.faults.staging import WALK, growing
from tests.support.marked import marked

DAEMON = """
import os, subprocess, sys, time
loop = "while :; do echo x >> $0; sleep 0.05; done"
for clean in ("", "env -i "):
    subprocess.Popen(["sh", "-c", 'setsid %ssh -c "$1" "$2" &' % clean, "sh", loop, os.environ["GROWS"]])
print("started", flush=True)
if os.environ["SILKMILL_ATTEMPT"] == "1":
    while True: time.sleep(0.05)
"""
RETRY = '[retry]\nmax_attempts = 3\nbackoff = "1s"\n'


def runner_killed(env: dict[str, str], folder: Path, profile: Profile, result: Result) -> None:
    data, walk = folder / "data", bool(env)
    with Server(data, max_runners=4, env=env) as server:
        deploy_chatter(server, folder)
        server.deploy(spider_folder(folder / "spiders", "daemon", DAEMON, RETRY))
        for number in range(profile.pick(short=2, full=50)):
            neighbours = start_chatters(server, folder, 2, seconds=3600.0)
            before = [neighbour.pids() for neighbour in neighbours]
            grows = folder / f"grows-{number}"
            task_id = server.submit("daemon", env={"GROWS": str(grows)})
            wait_for(grows.exists, "the daemon to begin")
            server.wait(task_id, "running")
            events = server.states_of(task_id)
            runner = next(r for r in server.runners().values() if task_id in (r["attempt"] or ""))
            assert bool(runner["cgroup"]) != walk, "the containment that this row is about is not in use"
            os.kill(runner["pid"], signal.SIGKILL)
            killed = time.monotonic()
            wait_for(
                lambda: not marked(f"GROWS={grows}") or server.task(task_id)["attempt"] == 2,
                "the tree to be gone",
            )
            gone = time.monotonic() - killed
            assert [neighbour.pids() for neighbour in neighbours] == before, "a neighbour was disturbed"
            task = server.wait(task_id, seconds=30)
            first = task["attempts"][0]
            assert (first["outcome"], first["error_class"]) == ("lost", "system"), first
            assert task["state"] == "finished" and task["attempt"] == 2, task
            assert "abnormal" in events(), events()
            assert not marked(f"GROWS={grows}"), "something of the tree lives"
            assert not growing([grows]), "something of the tree still writes"
            for neighbour in neighbours:
                neighbour.stop()
                server.wait(neighbour.task_id, seconds=30)
                check_complete(Evidence(data), neighbour)
            result.passed(gone)
    result.figures = {"leftover pids": 0}


def _row(id: str, where: str, env: dict[str, str], needs: tuple[str, ...] = ()) -> Row:
    invariant = "its tree dies, retried as system, neighbours undisturbed"
    return Row(id, f"one runner kill -9, {where}", invariant, partial(runner_killed, env), needs)


ROWS = [_row("F4c", "in a cgroup", {}, ("cgroup",)), _row("F4c-walk", "without cgroups", WALK)]
