"""A claim: what it costs to take the next task, with a thousand pending and with a million."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from bench.comparison import Comparison
from bench.rounds import Measure
from silkmill.adapters.bucket import LocalBucket
from silkmill.adapters.clock import SystemClock
from silkmill.adapters.store.sqlite import SqliteStore
from silkmill.compose import Master, make_master
from silkmill.domain.events import Assign
from silkmill.domain.ids import task_id_in_group
from silkmill.domain.placement import Placement
from silkmill.domain.spider import Spider, SpiderConfig
from silkmill.domain.task import Task, advance
from silkmill.domain.version import Version
from silkmill.ports.link import Registration

SPIDERS = 300
LIMITED = SPIDERS // 10
"""Spiders whose one permit is held, with a tenth of the tasks that a free slot could take."""
PRIORITIES = 10
BATCH = 10_000
OFFER_SECONDS = 30.0
"""Longer without an offer: nothing was claimed, and nothing is measured."""
ELSEWHERE = Placement(labels={"gpu": "1"})
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Claim:
    name = "claim"
    comparisons = (
        Comparison(
            "claim among the most pending tasks, p50",
            "ms",
            "most",
            "few",
            at_least=1.5,
            aim=1.1,
            better="lower",
        ),
    )

    def __init__(self, few: int = 1_000, most: int = 1_000_000, claims: int = 100) -> None:
        self._few, self._most, self._claims = few, most, claims

    @contextmanager
    def measures(self, place: Path) -> Iterator[Sequence[Measure]]:
        with asyncio.Runner() as runner, _store(place, "few") as few, _store(place, "most") as most:
            small = runner.run(_Node.of(few, place / "few", self._few, 0))
            large = runner.run(_Node.of(most, place / "most", self._few, self._most - self._few))

            def claim_few() -> Mapping[str, float]:
                return {"few": 1000 * runner.run(small.claim_seconds(self._claims))}

            def claim_most() -> Mapping[str, float]:
                return {"most": 1000 * runner.run(large.claim_seconds(self._claims))}

            yield claim_most, claim_few


@contextmanager
def _store(place: Path, name: str) -> Iterator[SqliteStore]:
    (place / name).mkdir()
    with SqliteStore.open(place / name / "silkmill.db") as store:
        yield store


class _Node:
    """A master with an agent that has one slot, in this process: what is measured is the claim alone."""

    def __init__(self, master: Master, session: str) -> None:
        self._master, self._session = master, session
        self._commands = master.link.commands(session)

    @classmethod
    async def of(cls, store: SqliteStore, place: Path, fitting: int, elsewhere: int) -> _Node:
        await _fill(store, fitting, elsewhere)
        master = make_master(store, LocalBucket(place / "bucket"), SystemClock())
        registered = await master.link.register(Registration("node", "node", "boot", max_runners=1))
        return cls(master, registered.session)

    async def claim_seconds(self, claims: int) -> float:
        """Median time from a free slot to the committed claim of the next task."""
        return median([await self._claim() for _ in range(claims)])

    async def _claim(self) -> float:
        start = time.perf_counter()
        await self._master.parts.dispatcher.tick()
        seconds = time.perf_counter() - start
        async with asyncio.timeout(OFFER_SECONDS):
            offer = await anext(self._commands)
        await self._master.link.give_back(self._session, offer.ref, "measured")  # for the next round
        return seconds


async def _fill(store: SqliteStore, fitting: int, elsewhere: int) -> None:
    """Tasks of all spiders and priorities; the limited spiders have their one permit out already."""
    configs = {_name(n): SpiderConfig(_name(n), max_concurrency=int(n < LIMITED)) for n in range(SPIDERS)}
    await store.insert_record("v1", Version("v1", "default", (), configs, NOW))
    for name in configs:
        await store.insert_record(f"default/{name}", Spider("default", name, "v1"))
    held = (_held(task) for task in _tasks("held", LIMITED, None))
    tasks = itertools.chain(held, _tasks("fitting", fitting, None), _tasks("elsewhere", elsewhere, ELSEWHERE))
    while batch := list(itertools.islice(tasks, BATCH)):
        await store.insert_tasks(batch)


def _tasks(group: str, count: int, placement: Placement | None) -> Iterator[Task]:
    for number in range(count):
        yield Task(
            id=task_id_in_group(NOW, group, number),
            project="default",
            spider=_name(number % SPIDERS),
            version="v1",
            created_at=NOW,
            order=number,
            priority=1 + number // SPIDERS % PRIORITIES,
            placement=placement,
        )


def _held(task: Task) -> Task:
    return advance(task, Assign("away", "session", NOW, f"default/{task.spider}#0"))


def _name(number: int) -> str:
    return f"spider-{number}"
