"""P2: the spider ends and leaves daemons behind; none survives, delays its end or spoils its exit code."""

from __future__ import annotations

import time
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from tests.engine.server import Server, wait_for
from tests.faults.board import Profile, Result, Row
from tests.faults.checker import Evidence
from tests.faults.staging import WALK, deploy, growing
from tests.support.marked import marked

WAYS = ("double-fork", "nohup", "setsid", "holds-stdout", "holds-stdout-setsid")
CODE = 3
RETRY = "[retry]\nmax_attempts = 1\n"
DELAY_SECONDS = 2.0


def escapes(env: dict[str, str], folder: Path, profile: Profile, result: Result) -> None:
    """Each task leaves something behind in one of the ways; every other one exits with 3."""
    data, count = folder / "data", profile.pick(short=20, full=1000)
    with Server(data, max_runners=4, env=env) as server:
        deploy(server, folder, "escaper", RETRY)
        marks = [folder / f"{number}-{WAYS[number % len(WAYS)]}" for number in range(count)]
        ids = server.submit_many([_line(mark, number) for number, mark in enumerate(marks)])
        slowest = max(_check_each(server, data, marks, ids, result))
        assert not marked(f"MARK={folder}/"), f"{len(marked(f'MARK={folder}/'))} survivors"
        still = growing(Path(f"{mark}.grows") for mark in marks)
        assert not still, f"what was left behind still writes: {still}"
        assert not _in_groups(server), "a cgroup of a runner is not empty"
    result.figures = {"survivors": 0, "slowest end s": round(slowest, 2)}


def _line(mark: Path, number: int) -> dict[str, Any]:
    way = WAYS[number % len(WAYS)]
    return {"spider": "escaper", "env": {"MARK": str(mark), "WAY": way, "CODE": str(number % 2 * CODE)}}


def _check_each(server: Server, data: Path, marks: list[Path], ids: list[str], result: Result) -> list[float]:
    """The delays between the last act of each main process and its stored end, in seconds."""
    wait_for(lambda: _all_final(data, ids), "every task to end", seconds=30 + len(ids))
    tasks, delays = Evidence(data).tasks(), []
    for number, (mark, task_id) in enumerate(zip(marks, ids, strict=True)):
        task, code = tasks[task_id], number % 2 * CODE
        assert Path(f"{mark}.grows").exists(), f"{mark} left nothing behind"
        assert task.state == ("error" if code else "finished"), task
        assert task.history[0]["exit_code"] == code, f"exit {code} became {task.history}"
        ended = float(Path(f"{mark}.ended").read_text())
        delays.append(datetime.fromisoformat(task.doc["finished_at"]).timestamp() - ended)
        assert delays[-1] <= DELAY_SECONDS, f"{mark} delayed the end by {delays[-1]:.2f} s"
        result.passed(delays[-1])
    return delays


def _all_final(data: Path, ids: list[str]) -> bool:
    states = {task.id: task.state for task in Evidence(data).tasks().values()}
    time.sleep(0.2)  # the look is a scan of the table: not fifty times a second
    return all(states[task_id] in ("finished", "error") for task_id in ids)


def _in_groups(server: Server) -> list[int]:
    """Processes, other than runners, in the runners' cgroups."""
    found = []
    for runner in server.runners().values():
        if runner["cgroup"]:
            pids = map(int, (Path(runner["cgroup"]) / "cgroup.procs").read_text().split())
            found += [pid for pid in pids if pid != runner["pid"]]
    return found


def _row(id: str, where: str, env: dict[str, str], needs: tuple[str, ...] = ()) -> Row:
    fault = f"double-fork+setsid daemon, nohup, child holding stdout open, {where}"
    invariant = "no survivor, the end delayed by no more than 2 s, exit codes true"
    return Row(id, fault, invariant, partial(escapes, env), needs)


ROWS = [_row("P2", "in a cgroup", {}, ("cgroup",)), _row("P2-walk", "without cgroups", WALK)]
