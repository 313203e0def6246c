"""I1: millions of lines, far over the cap of the log: little memory, a counted gap, neighbours that run."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

from tests.engine.server import Server, spider_folder
from tests.faults.board import Profile, Result, Row
from tests.faults.checker import Evidence
from tests.faults.staging import deploy, high_water_mark, wait_merged

MIB = 1 << 20
LINE_BYTES = 40
CAP = 64 * MIB
CAP_SLACK = 5 * MIB
GROWTH = 32 * MIB
ANSWER_SECONDS = 1.0
GAP = re.compile(rb"(\d+) bytes of the log were dropped here")
TIME_AND_TAG = re.compile(rb"\S+ stdout F ")


def floods(folder: Path, profile: Profile, result: Result) -> None:
    """In full 10 GB of text. A second task runs, and the API answers, all the while."""
    data, lines = folder / "data", profile.pick(short=3_000_000, full=250_000_000)
    with Server(data, max_runners=2) as server:
        deploy(server, folder, "flood", f'[limits]\nlog = "{CAP // MIB}MiB"\n')
        server.deploy(spider_folder(folder / "spiders", "quick", "print('ran')\n"))
        idle = high_water_mark(server.pid)
        for warm_up in [server.submit("flood", env={"LINES": "100000"}) for _ in range(2)]:
            server.wait(warm_up, "finished")
            wait_merged(server, warm_up)
        before = _marks(server)
        began = time.monotonic()
        task_id = server.submit("flood", env={"LINES": str(lines)})
        with _Neighbour(server) as neighbour:
            task = server.wait(task_id, seconds=lines / 100_000)
        took = time.monotonic() - began
        grown = {name: mark - before[name] for name, mark in _marks(server).items()}
        assert task["state"] == "finished", task
        dropped = _check_log(server, task_id, lines)
        assert max(grown.values()) < GROWTH, grown
        since_idle = high_water_mark(server.pid) - idle
        assert since_idle < 2 * GROWTH, f"`up`, which is agent and master, by {since_idle / MIB:.1f} MiB"
        assert neighbour.ran, "no neighbour ran meanwhile"
        result.passed()
    grown["up grew since idle"] = since_idle
    figures = {name: f"{size / MIB:.1f} MiB" for name, size in grown.items()}
    result.figures = figures | {
        "lines/s": round(lines / took),
        "MB/s": round(lines * LINE_BYTES / took / 1e6),
        "dropped MiB": round(dropped / MIB),
        "slowest answer s": round(neighbour.slowest, 2),
    }


def _marks(server: Server) -> dict[str, int]:
    marks = {f"runner {slot} grew": high_water_mark(facts["pid"]) for slot, facts in server.runners().items()}
    return marks | {"up grew": high_water_mark(server.pid)}


class _Neighbour:
    """Runs small tasks and asks for the API's health, one after the other, until it is left."""

    def __init__(self, server: Server) -> None:
        self.server, self.ran, self.slowest = server, 0, 0.0
        self._failure: BaseException | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> _Neighbour:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if self._failure is not None:
            raise AssertionError("a neighbour was disturbed") from self._failure

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                began = time.monotonic()
                self.server.call("GET", "/healthz", raw=True)
                self.slowest = max(self.slowest, time.monotonic() - began)
                assert self.slowest <= ANSWER_SECONDS, f"the API took {self.slowest:.2f} s to answer"
                assert self.server.wait(self.server.submit("quick"))["state"] == "finished"
                self.ran += 1
        except BaseException as failure:
            self._failure = failure


def _check_log(server: Server, task_id: str, lines: int) -> int:
    """Head and tail are kept, every number between them is in the counted gap; the answer is its bytes."""
    log = server.call("GET", f"/tasks/{task_id}/log?stream=stdout", raw=True, timeout=120)
    whole = Evidence(server.data).task(task_id).history[0]
    found = GAP.search(server.call("GET", f"/tasks/{task_id}/log", raw=True, timeout=120))
    assert found, "the gap is not told"
    kept = [int(number) for number in re.findall(rb"(?m)^\S+ stdout F (\d{10}) ", log)]
    hole = next(at for at in range(1, len(kept)) if kept[at] != kept[at - 1] + 1)
    head, tail = kept[:hole], kept[hole:]
    assert head == list(range(len(head))), "the head is not whole"
    assert tail == list(range(lines - len(tail), lines)), "the tail is not whole"
    assert len(log) <= CAP + CAP_SLACK, f"{len(log)} bytes are kept"
    frame = len(log) // len(kept)
    gap_lines = tail[0] - head[-1] - 1
    assert int(found[1]) == gap_lines * frame, f"{found[1]!r} is counted, {gap_lines} lines are gone"
    assert whole["log_gap"][1] - whole["log_gap"][0] == int(found[1])
    return int(found[1])


ROW = Row(
    "I1-flood",
    "a flood of millions of lines, far over limits.log",
    "little memory, head and tail kept, the gap counted, neighbours run, the API answers",
    floods,
)
