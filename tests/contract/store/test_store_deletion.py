"""Store contract: what is deleted is gone, with all that it was found by; nothing else is."""

from __future__ import annotations

import pytest

from helpers import START, changed, insert_claimed, make_task
from silkmill.domain.attempt import AttemptRef
from silkmill.domain.errors import Conflict
from silkmill.domain.events import Cancel
from silkmill.ports.store import Store, TaskFilter


async def test_a_deleted_task_is_found_by_nothing(store: Store) -> None:
    task, other = make_task(tags=("a", "b"), key="k", group="g"), make_task(tags=("a",), group="g")
    await store.insert_tasks([task, other])
    await store.delete_task(task)
    assert await store.task(task.id) is None
    for where in (TaskFilter(), TaskFilter(tag="a"), TaskFilter(group="g"), TaskFilter(spider="news")):
        assert [found.id for found in await store.tasks(where, limit=10)] == [other.id]
    assert await store.tasks(TaskFilter(tag="b"), limit=10) == []
    assert await store.tasks(TaskFilter(id_suffix=task.id[-8:]), limit=10) == []
    assert await store.keyed("default", "news", ["k"]) == []
    assert sum((await store.count_tasks()).values()) == 1


async def test_its_key_is_free_and_its_tags_do_not_come_back(store: Store) -> None:
    task = make_task(tags=("a",), key="k")
    await store.insert_tasks([task])
    await store.delete_task(task)
    again = make_task(key="k")
    await store.insert_tasks([again])
    assert [found.id for found in await store.keyed("default", "news", ["k"])] == [again.id]
    assert await store.tasks(TaskFilter(tag="a"), limit=10) == []


async def test_only_the_revision_that_was_read_is_deleted(store: Store) -> None:
    task = make_task(tags=("a",))
    await store.insert_tasks([task])
    newer = await store.swap(task, changed(task, Cancel("enough", START)))
    with pytest.raises(Conflict):
        await store.delete_task(task)
    assert [found.id for found in await store.tasks(TaskFilter(tag="a"), limit=10)] == [task.id]
    await store.delete_task(newer)
    await store.delete_task(newer)  # a repeat is success
    assert await store.task(task.id) is None


async def test_items_are_deleted_from_the_beginning_of_one_attempt(store: Store) -> None:
    task = await insert_claimed(store)
    ref, other = AttemptRef(task.id, 1), await insert_claimed(store)
    for of in (ref, AttemptRef(other.id, 1)):
        await store.append_items(of, "session-1", 0, 0, [b"%d" % number for number in range(5)])
    await store.delete_items(ref, before=3)
    assert [ordinal for ordinal, _ in await store.items(ref)] == [3, 4]
    await store.delete_items(ref, before=3)
    await store.delete_items(ref, before=100)
    assert await store.items(ref) == []
    assert len(await store.items(AttemptRef(other.id, 1))) == 5
