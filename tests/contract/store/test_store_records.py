"""Store contract: the small nouns, one document each, by kind and key."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from helpers import START
from silkmill.domain.errors import Conflict, Duplicate, Unavailable
from silkmill.domain.group import Group
from silkmill.domain.node import Node
from silkmill.domain.spider import SpiderConfig
from silkmill.domain.version import FileEntry, Version
from silkmill.ports.store import Store, Stored
from silkmill.runtime import faults

NODE = Node("n1", "alpha", "session-1", 4, "boot", START, labels={"zone": "ü"})
GROUP = Group("n1", "00", "object", 3, START)


async def read(store: Store, key: str = "n1") -> Stored[Node]:
    found = await store.record(Node, key)
    assert found is not None
    return found


async def test_a_record_is_read_as_it_was_inserted(store: Store) -> None:
    await store.insert_record("n1", NODE)
    assert (await read(store)).value == NODE
    assert await store.record(Node, "n2") is None


async def test_a_record_with_nested_values(store: Store) -> None:
    config = SpiderConfig(name="news", command=("python", "main.py"))
    version = Version("v1", "default", (FileEntry("main.py", "ab", 3),), {"news": config}, START)
    await store.insert_record("v1", version)
    found = await store.record(Version, "v1")
    assert found is not None
    assert found.value == version


async def test_a_key_is_unique_inside_its_kind(store: Store) -> None:
    await store.insert_record("n1", NODE)
    await store.insert_record("n1", GROUP)
    with pytest.raises(Duplicate, match="node n1"):
        await store.insert_record("n1", replace(NODE, name="beta"))
    assert (await read(store)).value == NODE


async def test_of_concurrent_inserts_one_wins(store: Store) -> None:
    inserts = [store.insert_record("n1", replace(NODE, name=str(number))) for number in range(5)]
    results = await asyncio.gather(*inserts, return_exceptions=True)
    assert results.count(None) == 1
    assert (await read(store)).value.name == str(results.index(None))


async def test_replacing_names_the_revision_that_was_read(store: Store) -> None:
    await store.insert_record("n1", NODE)
    old = await read(store)
    new = await store.replace_record(old, replace(NODE, beat=1), "c1")
    assert new.value.beat == 1
    assert await read(store) == new
    with pytest.raises(Conflict):
        await store.replace_record(old, replace(NODE, beat=2), "c2")
    assert await read(store) == new


async def test_replacing_an_unknown_record_conflicts(store: Store) -> None:
    with pytest.raises(Conflict):
        await store.replace_record(Stored("n1", NODE, 0), NODE, "c1")
    assert await store.record(Node, "n1") is None


async def test_a_replacement_whose_answer_was_lost_is_repeated(store: Store) -> None:
    await store.insert_record("n1", NODE)
    old, value = await read(store), replace(NODE, beat=1)
    faults.arm("store.after_commit=error")
    with pytest.raises(Unavailable):
        await store.replace_record(old, value, "c1")
    assert await store.replace_record(old, value, "c1") == await read(store)
    with pytest.raises(Conflict):
        await store.replace_record(old, value, "c2")


async def test_ones_own_replacement_that_was_overwritten_conflicts(store: Store) -> None:
    await store.insert_record("n1", NODE)
    old = await read(store)
    new = await store.replace_record(old, replace(NODE, beat=1), "c1")
    await store.replace_record(new, replace(NODE, beat=2), "c2")
    with pytest.raises(Conflict):
        await store.replace_record(old, replace(NODE, beat=1), "c1")


async def test_deleting_names_the_revision_that_was_read(store: Store) -> None:
    await store.insert_record("n1", NODE)
    await store.insert_record("n1", GROUP)
    old = await read(store)
    new = await store.replace_record(old, replace(NODE, beat=1), "c1")
    with pytest.raises(Conflict, match="node n1"):
        await store.delete_record(old)
    assert await read(store) == new
    await store.delete_record(new)
    assert await store.record(Node, "n1") is None
    assert await store.record(Group, "n1") is not None
    await store.delete_record(new)
    await store.insert_record("n1", NODE)


async def test_a_deletion_whose_answer_was_lost_is_repeated(store: Store) -> None:
    await store.insert_record("n1", NODE)
    old = await read(store)
    faults.arm("store.after_commit=error")
    with pytest.raises(Unavailable):
        await store.delete_record(old)
    await store.delete_record(old)
    assert await store.records(Node) == []


async def test_records_are_listed_by_key(store: Store) -> None:
    for key in ("b", "a", "c", "a/b"):
        await store.insert_record(key, replace(NODE, id=key))
    await store.insert_record("bb", GROUP)
    assert [record.key for record in await store.records(Node)] == ["a", "a/b", "b", "c"]
    assert [record.key for record in await store.records(Node, after="a", limit=2)] == ["a/b", "b"]
    assert [record.value.id for record in await store.records(Node, after="b")] == ["c"]
    assert [record.value for record in await store.records(Group)] == [GROUP]
    assert await store.records(Version) == []


async def test_ping_is_a_write(store: Store) -> None:
    await store.ping()
    faults.arm("store.before_commit=error")
    with pytest.raises(Unavailable):
        await store.ping()
    await store.ping()
