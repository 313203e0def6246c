"""Keys of submissions stand for a day; then record and object go, and the same key begins anew."""

from __future__ import annotations

from datetime import timedelta

import pytest

from silkmill.domain.errors import Unavailable
from silkmill.domain.group import Group
from silkmill.master.groups import KEPT, ORPHANED
from silkmill.master.submission import Submission
from silkmill.ports.store import TaskFilter
from silkmill.runtime import faults
from support.master_rig import Rig

DAY = KEPT.total_seconds()


def lines(count: int) -> list[Submission]:
    return [Submission("default", "news", tags=(f"line-{index}",)) for index in range(count)]


async def task_ids(rig: Rig) -> list[str]:
    return sorted(task.id for task in await rig.store.tasks(TaskFilter(), limit=1000))


async def cut(rig: Rig) -> None:
    """A submission of three lines that has its record and none of its tasks."""
    faults.arm("intake.after_group=error")
    with pytest.raises(Unavailable):
        await rig.intake.submit_group(lines(3), "key", b"body")
    faults.disarm()


async def test_a_day_later_the_same_key_begins_a_new_submission(rig: Rig) -> None:
    _, first = await rig.intake.submit_group(lines(3), "key", b"body")
    rig.clock.pass_time(DAY - 1)
    assert (await rig.intake.submit_group(lines(3), "key", b"body"))[1] == first
    rig.clock.pass_time(1)
    group, second = await rig.intake.submit_group(lines(2), "key", b"other body")
    assert group.created_at == rig.clock.now()
    assert await task_ids(rig) == sorted(first + second)
    assert await rig.bucket.names("groups/") == [group.object_name]
    assert (await rig.intake.submit_group(lines(2), "key", b"other body"))[1] == second


async def test_an_incomplete_submission_is_finished_before_its_key_is_free(rig: Rig) -> None:
    await cut(rig)
    rig.clock.pass_time(DAY)
    _, ids = await rig.intake.submit_group(lines(2), "key", b"body")
    assert len(ids) == 2
    assert len(await task_ids(rig)) == 3 + 2


async def test_what_nobody_may_repeat_any_more_is_forgotten(rig: Rig) -> None:
    _, ids = await rig.intake.submit_group(lines(3), "key", b"body")
    rig.clock.pass_time(DAY / 2)
    later, _ = await rig.intake.submit_group(lines(1), None, b"body")
    await rig.intake.groups.tick()
    assert len(await rig.store.records(Group)) == 2
    rig.clock.pass_time(DAY / 2)
    await rig.intake.groups.tick()
    assert [stored.value for stored in await rig.store.records(Group)] == [later]
    assert await rig.bucket.names("groups/") == [later.object_name]
    assert set(ids) <= set(await task_ids(rig))


async def test_an_incomplete_submission_is_finished_before_it_is_forgotten(rig: Rig) -> None:
    await cut(rig)
    rig.clock.pass_time(DAY)
    await rig.intake.groups.tick()
    assert len(await task_ids(rig)) == 3
    assert await rig.store.records(Group) == []
    assert await rig.bucket.names("groups/") == []


@pytest.mark.parametrize("point", ["store.before_commit", "store.after_commit"])
async def test_forgetting_that_was_cut_is_repeated(rig: Rig, point: str) -> None:
    await rig.intake.submit_group(lines(3), "key", b"body")
    rig.clock.pass_time(DAY)
    faults.arm(f"{point}=error")
    with pytest.raises(Unavailable):
        await rig.intake.groups.tick()
    faults.disarm()
    await rig.intake.groups.tick()
    assert (await rig.store.records(Group), await rig.bucket.names("groups/")) == ([], [])
    assert len(await task_ids(rig)) == 3


async def test_an_object_whose_record_was_never_written_goes_when_it_is_old(rig: Rig) -> None:
    faults.arm("store.before_commit=error")
    with pytest.raises(Unavailable):
        await rig.intake.submit_group(lines(3), "key", b"body")
    faults.disarm()
    (orphan,) = await rig.bucket.names("groups/")
    group, _ = await rig.intake.submit_group(lines(3), "key", b"body")
    rig.clock.pass_time(DAY - 1)
    await rig.intake.groups.tick()
    assert sorted(await rig.bucket.names("groups/")) == sorted([orphan, group.object_name])
    rig.clock.pass_time((ORPHANED - KEPT + timedelta(seconds=2)).total_seconds())
    await rig.intake.groups.tick()
    assert await rig.bucket.names("groups/") == []


async def test_a_submission_whose_lines_are_lost_stops_nobody(rig: Rig) -> None:
    await cut(rig)
    await rig.bucket.delete(await rig.bucket.names("groups/"))
    restarted = rig.restarted()
    await restarted.recovery.tick()
    rig.clock.pass_time(DAY)
    await restarted.intake.groups.tick()
    assert await rig.store.records(Group) == []
