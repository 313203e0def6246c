"""Lists and counts over HTTP take as long with many tasks as with few, whatever is asked for."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from itertools import combinations, product
from pathlib import Path
from statistics import median

import httpx
import pytest
from tests.helpers import START, make_task
from tests.http.conftest import TOKEN, URL, app_of
from tests.support.master_rig import Rig

from silkmill.adapters.store.sqlite import SqliteStore
from silkmill.domain.states import State
from silkmill.domain.task import Task

FEW, MANY = 1000, 100_000
ROUNDS = 7
MOST = 2.0
SPAN = timedelta(seconds=30)

COMMON_AND_RARE = {
    "state": ("pending", "error", "running"),
    "project": ("shop", "rare"),
    "spider": ("news", "rare"),
    "tag": ("daily", "rare"),
    "since": ("2026-03-01T12:00:15Z", "2030-01-01T00:00:00Z"),
}
"""What half of the tasks have, and what three of them or none have."""
ALONE = [[(name, value)] for name, values in COMMON_AND_RARE.items() for value in values]
PAIRS = [
    list(zip(names, values, strict=True))
    for names in combinations(COMMON_AND_RARE, 2)
    for values in product(*(COMMON_AND_RARE[name] for name in names))
]
ALL = [(name, values[0]) for name, values in COMMON_AND_RARE.items()]
LISTS = [[], *ALONE, *PAIRS, ALL, [("state", "pending"), ("state", "error"), ("tag", "daily")]]
COUNTS = [[], [("project", "shop")], [("spider", "news")], [("project", "shop"), ("spider", "news")]]
QUESTIONS = [("/tasks", query) for query in LISTS] + [("/tasks/counts", query) for query in COUNTS]


def tasks_of(count: int) -> list[Task]:
    """The rare ones are the oldest, which a list from the newest on meets last. What is common goes together
    with nothing else that is common, so that many tasks fit a part of the question and none fits it all."""
    return [
        make_task(
            created_at=START + number * SPAN / count,
            state=State.ERROR if number < 3 else State.PENDING if number % 5 else State.FINISHED,
            project="rare" if number < 3 else "default" if number % 5 else "shop",
            spider="rare" if number < 3 else "other" if number % 2 else "news",
            tags=("rare",) if number < 3 else () if number % 5 else ("daily",),
        )
        for number in range(count)
    ]


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Two over a file each, with few and with many tasks."""
    async with AsyncExitStack() as stack:
        opened = []
        for count in (FEW, MANY):
            store = stack.enter_context(SqliteStore.open(tmp_path / f"{count}.db"))
            await store.insert_tasks(tasks_of(count))
            rig = Rig(store)
            stack.push_async_callback(rig.expressions.close)
            transport = httpx.ASGITransport(app_of(rig))
            headers = {"Authorization": f"Bearer {TOKEN}"}
            client = httpx.AsyncClient(transport=transport, base_url=URL, headers=headers)
            opened.append(await stack.enter_async_context(client))
        yield opened


async def seconds(client: httpx.AsyncClient, path: str, query: list[tuple[str, str]]) -> float:
    begun = time.perf_counter()
    answer = await client.get(f"/api/v1{path}", params=query)
    assert answer.status_code == 200
    return time.perf_counter() - begun


async def test_many_tasks_are_listed_filtered_and_counted_like_few(
    servers: list[httpx.AsyncClient],
) -> None:
    """A hundred times as many, side by side in turn: what reads them all takes many times as long."""
    assert [(await client.get("/api/v1/tasks/counts")).json()["total"] for client in servers] == [FEW, MANY]
    slow = QUESTIONS
    for _ in range(3):  # what a busy machine made slow is not slow again
        slow = [question for question in slow if await ratio(servers, *question) > MOST]
    assert not slow


async def ratio(servers: list[httpx.AsyncClient], path: str, query: list[tuple[str, str]]) -> float:
    taken = [[await seconds(client, path, query) for client in servers] for _ in range(ROUNDS)]
    few, many = (median(each) for each in zip(*taken, strict=True))
    return many / few
