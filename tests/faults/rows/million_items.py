"""I5: a million items of one task, whose agent is killed again and again until the last one is printed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from tests.engine.server import Server, start_time, wait_for
from tests.faults.board import Profile, Result, Row
from tests.faults.checker import Evidence, StoredTask
from tests.faults.staging import deploy, unshipped
from tests.support.marked import marked

PAGE = 20_000
LARGE = 3


def million_items(folder: Path, profile: Profile, result: Result) -> None:
    """`silkmill up`, in which the agent is, dies by kill -9. The same spider prints on; most kills must catch
    items that were not acknowledged, or the row proves nothing."""
    count, rate = profile.pick(short=(40_000, 8_000), full=(1_000_000, 7_000))
    with Server(folder / "data", max_runners=1) as server:
        deploy(server, folder, "hoarder")
        hoard = _Hoard(server, folder, {"ITEMS": count, "RATE": rate, "SEED": profile.seed, "LARGE": LARGE})
        while hoard.wait_for_more(profile):
            server.kill()
            hoard.note_kill()
            began = time.monotonic()
            server.start()
            result.passed(time.monotonic() - began)
        server.wait(hoard.task_id, seconds=120)
        hoard.check(count)
    hoard.check_kills(result.runs, profile.pick(short=3, full=5))
    result.figures = {
        "items": count,
        "missing": 0,
        "extra": 0,
        "kills with items under way": f"{hoard.caught}/{result.runs}",
    }


class _Hoard:
    """The one task, and the record that its spider keeps of what it prints."""

    def __init__(self, server: Server, folder: Path, numbers: dict[str, int]) -> None:
        record = folder / "record"
        env = {"RECORD": str(record)} | {name: str(number) for name, number in numbers.items()}
        self.task_id = server.submit("hoarder", env=env)
        self.record = record.with_name("record.1")
        self.caught = 0
        self._server, self._evidence = server, Evidence(server.data)
        self._marker, self._stored = f"RECORD={record}", 0
        wait_for(self.record.exists, "the spider to begin")
        self._pids = self._living()
        assert len(self._pids) == 1, self._pids

    def wait_for_more(self, profile: Profile) -> bool:
        """For the moment of the next kill; whether the spider still prints then."""
        if profile.full:
            self._wait_ended(20.0)
        else:
            self._wait_stored(5_000)
        return bool(self._living())

    def note_kill(self) -> None:
        task = self._task()
        self.caught += unshipped(self._server.data, task, "items") > 0
        self._stored = task.items_count
        assert task.attempt == 1, task.history
        assert self._living() in (self._pids, {}), "the spider was disturbed"

    def check_kills(self, kills: int, least: int) -> None:
        assert kills >= least, f"only {kills} kills before the last item was printed"
        assert self.caught >= 0.75 * kills, f"only {self.caught} of {kills} kills caught items under way"

    def check(self, count: int) -> None:
        """What the table holds, and what the API shows, is what was printed, each once and nothing else."""
        task = self._task()
        assert task.state == "finished", task.doc["reason"]
        assert task.accepted["number"] == 1 and len(task.history) == 1, task.history
        assert sorted(self.record.parent.glob("record.*")) == [self.record], "another attempt was begun"
        assert sum(1 for _ in self._printed()) == count
        _compare(self._stored_items(), self._printed(), "stored")
        _compare(self._shown_items(), self._printed(), "shown by the API")

    def _stored_items(self) -> Iterator[bytes]:
        for expected, (task_id, attempt, ordinal, data) in enumerate(self._evidence.every_item()):
            found = (task_id, attempt, ordinal)
            assert found == (self.task_id, 1, expected), f"{found} where ordinal {expected} belongs"
            yield bytes(data)

    def _shown_items(self) -> Iterator[bytes]:
        cursor = 0
        while page := self._page(cursor):
            yield from page
            cursor += len(page)

    def _page(self, cursor: int) -> list[bytes]:
        path = f"/tasks/{self.task_id}/items?cursor={cursor}&limit={PAGE}"
        return list(self._server.call("GET", path, raw=True, timeout=120).split(b"\n")[:-1])

    def _printed(self) -> Iterator[bytes]:
        with self.record.open("rb") as file:
            for line in file:
                yield line.removesuffix(b"\n")

    def _wait_ended(self, seconds: float) -> None:
        """So long at most: the interval between two kills is the fault itself."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self._living():
            time.sleep(0.1)

    def _wait_stored(self, more: int) -> None:
        def enough() -> bool:
            return self._task().items_count >= self._stored + more or not self._living()

        wait_for(enough, f"{more} more items to be stored", seconds=120)

    def _task(self) -> StoredTask:
        return self._evidence.task(self.task_id)

    def _living(self) -> dict[int, int]:
        """pid → start time."""
        return {pid: start_time(pid) for pid in marked(self._marker)}


def _compare(found: Iterator[bytes], printed: Iterator[bytes], where: str) -> None:
    for ordinal, (one, other) in enumerate(zip_longest(found, printed)):
        assert one is not None, f"items from {ordinal} on are missing, {where}"
        assert other is not None, f"more than the {ordinal} printed items are {where}: {one[:80]!r}"
        assert one == other, f"item {ordinal} {where}: {one[:80]!r}, printed: {other[:80]!r}"


ROW = Row(
    "I5",
    "10^6 items of one task, `silkmill up` kill -9 every 20 s until the last is printed",
    "each (attempt, ordinal) once, the items of one attempt are visible, same spider",
    million_items,
)
