"""F1, F2, F4a: kill -9 of `silkmill up` while tasks wait, while spiders run, again and again."""

from __future__ import annotations

import random
import time
from pathlib import Path

from tests.engine.server import Server, spider_folder, wait_for
from tests.faults.board import Profile, Result, Row
from tests.faults.chatter import (
    Chatter,
    check_complete,
    deploy_chatter,
    start_chatters,
    unshipped_bytes,
)
from tests.faults.checker import Evidence

BLOCKER = "import time\nwhile True: time.sleep(0.05)\n"


def idle_queue(folder: Path, profile: Profile, result: Result) -> None:
    """F1: a thousand tasks wait behind a blocked slot; the engine is killed; they are all still there."""
    data, waiting = folder / "data", 1000
    with Server(data, max_runners=1) as server:
        server.deploy(spider_folder(folder, "blocker", BLOCKER))
        server.deploy(spider_folder(folder, "quick", "print('ran')\n"))
        blocker = server.submit("blocker")
        server.wait(blocker, "running")
        ids = set(server.submit_many([{"spider": "quick"}] * waiting))
        for _ in range(profile.pick(short=1, full=10)):
            server.kill()
            states = {task.id: task.state for task in Evidence(data).tasks().values() if task.id in ids}
            assert len(states) == waiting and set(states.values()) == {"pending"}, states
            server.start()
            result.passed()
        server.call("POST", f"/tasks/{blocker}/cancel", {"force": True})
        freed = time.monotonic()
        wait_for(lambda: any(t["state"] != "pending" for t in _tasks(server, "quick")), "the first dispatch")
        result.figures = {
            "lost": waiting - len(states),
            "first dispatch s": round(time.monotonic() - freed, 2),
        }
        assert time.monotonic() - freed <= 3.0
        wait_for(lambda: _finished(data, ids) == waiting, "all to finish", seconds=120)


def _tasks(server: Server, spider: str) -> list[dict[str, str]]:
    return list(server.call("GET", f"/tasks?spider={spider}&limit=200")["tasks"])


def _finished(data: Path, ids: set[str]) -> int:
    return sum(task.state == "finished" for task in Evidence(data).tasks().values() if task.id in ids)


def running_spiders(folder: Path, profile: Profile, result: Result) -> None:
    """F2: twenty spiders run; the engine is away for a while; nobody is disturbed, no byte is missing."""
    data = folder / "data"
    with Server(data, max_runners=20) as server:
        deploy_chatter(server, folder)
        for away in profile.pick(short=[2.0], full=[5.0, 60.0, 600.0]):
            chatters = start_chatters(server, folder, 20, seconds=3600.0, rate=100)
            before = [chatter.pids() for chatter in chatters]
            server.kill()
            time.sleep(away)  # the fault itself: the engine is away for so long
            assert [chatter.pids() for chatter in chatters] == before, "a spider was disturbed"
            server.start()
            back = time.monotonic()
            wait_for(lambda: _adopted(data, chatters), "the spiders to be adopted")
            assert [chatter.pids() for chatter in chatters] == before, "a spider was disturbed"
            result.passed(time.monotonic() - back)
            for chatter in chatters:
                chatter.stop()
            _wait_finished(server, chatters)
            for chatter in chatters:
                check_complete(Evidence(data), chatter)
        result.figures = {"spiders killed": 0, "gap in stored logs": "0 bytes"}


def _wait_finished(server: Server, chatters: list[Chatter]) -> None:
    for chatter in chatters:
        server.wait(chatter.task_id, seconds=120.0)


RATE, LEAST_RATE = 600, 500
"""Items a second of each spider: asked for, and seen."""


def killed_again_and_again(folder: Path, profile: Profile, result: Result) -> None:
    """F4a: kills at random moments under load, every third of them twice: once more while the next engine
    starts. After each: same pids and start times; at the end every item and log byte once. Most kills must
    catch bytes that were not acknowledged, or the row proves nothing."""
    data, chance = folder / "data", profile.random()
    kills = profile.pick(short=20, full=60)
    caught = 0
    with Server(data, max_runners=5) as server:
        deploy_chatter(server, folder)
        chatters = start_chatters(server, folder, 5, seconds=3600.0, rate=RATE)
        before = [chatter.pids() for chatter in chatters]
        assert all(before)
        loads = [_Load(chatter) for chatter in chatters]
        for number in range(kills):
            time.sleep(chance.uniform(0.05, 0.6))  # the random moment
            server.kill()
            caught += unshipped_bytes(data, Evidence(data), chatters) > 0
            assert [chatter.pids() for chatter in chatters] == before, "a spider was disturbed"
            if number % 3 == 0:
                _kill_while_it_starts(server, chance)
                assert [chatter.pids() for chatter in chatters] == before, "a spider was disturbed"
            began = time.monotonic()
            server.start()
            wait_for(lambda: _adopted(data, chatters), "the spiders to be adopted")
            result.passed(time.monotonic() - began)
        rates = [load.items_per_second() for load in loads]
        for chatter in chatters:
            chatter.stop()
        _wait_finished(server, chatters)
        for chatter in chatters:
            check_complete(Evidence(data), chatter)
    assert caught >= 0.75 * kills, f"only {caught} of {kills} kills caught unacknowledged bytes"
    assert min(rates) >= LEAST_RATE, f"the spiders wrote {rates} items a second"
    result.figures = {
        "disturbed": 0,
        "kills with unacknowledged bytes": f"{caught}/{kills}",
        "items/s of each": round(min(rates)),
    }


def _kill_while_it_starts(server: Server, chance: random.Random) -> None:
    server.start(wait=False)
    time.sleep(chance.uniform(0.0, 0.8))  # the random moment
    server.kill()


class _Load:
    """How much a spider writes, by its own record, since this was made."""

    def __init__(self, chatter: Chatter) -> None:
        self._record = chatter.attempt_record(1, "items")
        self._began, self._before = time.monotonic(), self._items()

    def _items(self) -> int:
        return self._record.read_bytes().count(b"\n")

    def items_per_second(self) -> float:
        return (self._items() - self._before) / (time.monotonic() - self._began)


def _adopted(data: Path, chatters: list[Chatter]) -> bool:
    tasks = Evidence(data).tasks()
    return all(tasks[chatter.task_id].state in ("running", "finished") for chatter in chatters)


ROWS = [
    Row("F1", "master kill -9, 1,000 pending", "none is lost, dispatch goes on", idle_queue),
    Row(
        "F2",
        "master kill -9 with 20 running, away for a while",
        "no spider disturbed, no gap",
        running_spiders,
    ),
    Row(
        "F4a",
        "`silkmill up` kill -9 at random moments",
        "same pids, every item and byte once",
        killed_again_and_again,
    ),
]
