"""Store contract: what only one task can have: a permit while its attempt is open, a key for its spider."""

from __future__ import annotations

import asyncio

import pytest

from helpers import START, changed, make_task
from silkmill.domain.errors import Conflict
from silkmill.domain.events import Assign, GiveBack
from silkmill.domain.task import Task
from silkmill.ports.store import Store

SPIDER, PROJECT = "default/news#0", "default#0"


def claiming(task: Task, *permits: str | None) -> Task:
    return changed(task, Assign("node-1", "session-1", START, *permits))


async def two(store: Store) -> tuple[Task, Task]:
    tasks = make_task(), make_task()
    await store.insert_tasks(tasks)
    return tasks


@pytest.mark.parametrize(
    ("mine", "others", "fits"),
    [
        ((SPIDER, None), (SPIDER, None), False),
        ((None, PROJECT), (None, PROJECT), False),
        ((SPIDER, PROJECT), ("default/news#1", PROJECT), False),
        ((SPIDER, PROJECT), ("default/news#1", "default#1"), True),
        ((None, None), (None, None), True),
    ],
)
async def test_a_permit_is_held_by_one_open_attempt(
    store: Store, mine: tuple[str | None, str | None], others: tuple[str | None, str | None], fits: bool
) -> None:
    first, second = await two(store)
    await store.claim(first, claiming(first, *mine))
    if fits:
        await store.claim(second, claiming(second, *others))
        return
    with pytest.raises(Conflict):
        await store.claim(second, claiming(second, *others))
    assert await store.task(second.id) == second


async def test_a_refused_claim_leaves_the_writes_beside_it_alone(store: Store) -> None:
    first, second = await two(store)
    await store.claim(first, claiming(first, SPIDER))
    other = make_task()
    results = await asyncio.gather(
        store.claim(second, claiming(second, SPIDER)), store.insert_tasks([other]), return_exceptions=True
    )
    assert isinstance(results[0], Conflict)
    assert await store.task(other.id) == other


async def test_closing_the_attempt_gives_the_permit_back(store: Store) -> None:
    first, second = await two(store)
    claimed = await store.claim(first, claiming(first, SPIDER, PROJECT))
    await store.swap(claimed, changed(claimed, GiveBack("drain", START)))
    claimed = await store.claim(second, claiming(second, SPIDER, PROJECT))
    assert claimed.attempt and claimed.attempt.spider_permit == SPIDER


async def test_ones_own_claim_is_repeated_with_its_permit(store: Store) -> None:
    first, _ = await two(store)
    claim = claiming(first, SPIDER)
    assert await store.claim(first, claim) == await store.claim(first, claim)


async def test_a_key_is_of_one_task_of_its_spider(store: Store) -> None:
    first = make_task(key="page-1", key_digest="a")
    others = [make_task(key="page-1", spider="other"), make_task(key="page-1", project="shop"), make_task()]
    second = make_task(key="page-1", key_digest="b")
    await store.insert_tasks([first, *others])
    await store.insert_tasks([second, make_task(key="page-2")])
    assert await store.task(second.id) is None
    assert await store.keyed("default", "news", ["page-1", "page-9"]) == [first]
    assert await store.keyed("default", "other", ["page-1", "page-2"]) == [others[0]]
    assert len(await store.keyed("default", "news", ["page-1", "page-2"])) == 2
    assert await store.keyed("default", "news", []) == []
