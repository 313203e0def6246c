"""Store contract: items and log of an attempt are appended once, in order, under the fence."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from helpers import START, changed, insert_claimed, make_task
from silkmill.domain.attempt import AttemptRef, Positions
from silkmill.domain.errors import BadInput, Conflict, OffsetMismatch, StaleAttempt, StaleSession, Unavailable
from silkmill.domain.events import Accept, Adopt, Assign, GiveBack, Lose
from silkmill.domain.states import Phase
from silkmill.domain.task import Task
from silkmill.ports.store import Store, TailRecord
from silkmill.runtime import faults

SESSION = "session-1"
Append = Callable[[Store, AttemptRef, str, int], Awaitable[Positions]]


async def append_items_at(store: Store, ref: AttemptRef, session: str, offset: int) -> Positions:
    """Two items that make 10 bytes of the stream."""
    return await store.append_items(ref, session, offset, offset // 5, [b'{"a"', b'{"b"'])


async def append_log_at(store: Store, ref: AttemptRef, session: str, offset: int) -> Positions:
    return await store.append_log(ref, session, offset, b"ten bytes\n")


async def move_log_at(store: Store, ref: AttemptRef, session: str, offset: int) -> Positions:
    return await store.move_log(ref, session, offset, 10)


each_append = pytest.mark.parametrize("append", [append_items_at, append_log_at, move_log_at])


async def positions_of(store: Store, ref: AttemptRef) -> Positions:
    task = await store.task(ref.task_id)
    assert task is not None
    return task.positions


async def visible_items(store: Store, ref: AttemptRef) -> list[bytes]:
    """What a reader shows: rows below the count only, which must have no gap."""
    count = (await positions_of(store, ref)).items_count
    rows = [(ordinal, data) for ordinal, data in await store.items(ref) if ordinal < count]
    assert [ordinal for ordinal, _ in rows] == list(range(count))
    return [data for _, data in rows]


async def stored_log(store: Store, ref: AttemptRef) -> bytes:
    """The log as its tail records tell it, cut at the position."""
    size = (await positions_of(store, ref)).log_offset
    log = bytearray()
    for record in await store.log_tail(ref):
        assert record.offset <= len(log)
        log[record.offset :] = record.data
    return bytes(log[:size])


@each_append
async def test_appends_follow_one_another(store: Store, append: Append) -> None:
    ref = (await insert_claimed(store)).ref
    for offset in (0, 10, 20):
        after = await append(store, ref, SESSION, offset)
        assert offset + 10 in (after.log_offset, after.items_offset)
        assert await positions_of(store, ref) == after


@each_append
async def test_a_whole_repeat_is_a_success_that_changes_nothing(store: Store, append: Append) -> None:
    ref = (await insert_claimed(store)).ref
    await append(store, ref, SESSION, 0)
    stored = await append(store, ref, SESSION, 10)
    assert await append(store, ref, SESSION, 10) == stored
    assert await append(store, ref, SESSION, 0) == stored
    assert await positions_of(store, ref) == stored


@each_append
@pytest.mark.parametrize("offset", [5, 11, 20])
async def test_a_gap_or_a_partial_overlap_names_where_to_go_on(
    store: Store, append: Append, offset: int
) -> None:
    ref = (await insert_claimed(store)).ref
    before = await append(store, ref, SESSION, 0)
    with pytest.raises(OffsetMismatch) as refused:
        await append(store, ref, SESSION, offset)
    assert (refused.value.expected, refused.value.given) == (10, offset)
    assert await positions_of(store, ref) == before
    assert len(await store.items(ref)) == before.items_count
    assert len(await store.log_tail(ref)) <= 1


@each_append
async def test_an_attempt_that_is_not_the_current_one_is_stale(store: Store, append: Append) -> None:
    ref = (await insert_claimed(store)).ref
    for number in (0, 2):
        with pytest.raises(StaleAttempt):
            await append(store, AttemptRef(ref.task_id, number), SESSION, 0)
    assert await positions_of(store, ref) == Positions()


@each_append
async def test_an_attempt_of_an_unknown_task_is_stale(store: Store, append: Append) -> None:
    with pytest.raises(StaleAttempt):
        await append(store, AttemptRef(make_task().id, 1), SESSION, 0)


@each_append
async def test_a_closed_attempt_is_stale_even_for_a_repeat(store: Store, append: Append) -> None:
    task = await insert_claimed(store)
    task = await store.swap(task, changed(task, Accept()))
    await append(store, task.ref, SESSION, 0)
    ref, task = task.ref, await store.task(task.id)
    await store.swap(task, changed(task, GiveBack("drain", START)))
    for offset in (0, 10):
        with pytest.raises(StaleAttempt):
            await append(store, ref, SESSION, offset)


@each_append
async def test_another_session_is_stale(store: Store, append: Append) -> None:
    ref = (await insert_claimed(store)).ref
    with pytest.raises(StaleSession) as refused:
        await append(store, ref, "session-0", 0)
    assert (refused.value.node, refused.value.session) == ("node-1", "session-0")
    assert await positions_of(store, ref) == Positions()


@each_append
async def test_a_lost_attempt_refuses_its_session_until_it_is_adopted(store: Store, append: Append) -> None:
    task = await insert_claimed(store)
    for event in (Accept(), Lose("silent")):
        task = await store.swap(task, changed(task, event))
    with pytest.raises(StaleSession):
        await append(store, task.ref, SESSION, 0)
    task = await store.swap(task, changed(task, Adopt("session-2", Phase.PREPARING)))
    with pytest.raises(StaleSession):
        await append(store, task.ref, SESSION, 0)
    await append(store, task.ref, "session-2", 0)


@each_append
async def test_a_repeat_after_the_answer_was_lost_appends_once(store: Store, append: Append) -> None:
    ref = (await insert_claimed(store)).ref
    faults.arm("store.after_commit=error")
    with pytest.raises(Unavailable):
        await append(store, ref, SESSION, 0)
    after = await append(store, ref, SESSION, 0)
    assert 10 in (after.log_offset, after.items_offset)
    assert await positions_of(store, ref) == after
    assert len(await store.items(ref)) == after.items_count


@each_append
@pytest.mark.parametrize("point", ["store.between_steps", "store.before_commit"])
async def test_a_crash_between_payload_and_position_is_healed_by_the_repeat(
    store: Store, append: Append, point: str
) -> None:
    ref = (await insert_claimed(store)).ref
    faults.arm(f"{point}=error")
    with pytest.raises(Unavailable):
        await append(store, ref, SESSION, 0)
    assert await positions_of(store, ref) == Positions()
    assert await visible_items(store, ref) == []
    assert await stored_log(store, ref) == b""
    after = await append(store, ref, SESSION, 0)
    assert 10 in (after.log_offset, after.items_offset)


@each_append
async def test_of_an_append_and_a_closing_swap_one_wins(store: Store, append: Append) -> None:
    """Closing an attempt while an append is between its steps: never are both a success."""
    task = await insert_claimed(store)
    task = await store.swap(task, changed(task, Accept()))
    faults.arm("store.between_steps=pause:0.1")
    appended, closed = await asyncio.gather(
        append(store, task.ref, SESSION, 0),
        store.swap(task, changed(task, GiveBack("drain", START))),
        return_exceptions=True,
    )
    if isinstance(closed, Task):
        assert isinstance(appended, StaleAttempt)
        assert await positions_of(store, task.ref) == Positions()
    else:
        assert isinstance(closed, Conflict)
        assert await positions_of(store, task.ref) == appended


async def test_rows_beyond_the_position_do_not_exist_and_do_not_disturb(store: Store) -> None:
    """After the crash the sender cuts its batches elsewhere: rows of the first try must not show through."""
    ref = (await insert_claimed(store)).ref
    records = [b"%d" % number for number in range(6)]
    faults.arm("store.between_steps=error")
    with pytest.raises(Unavailable):
        await store.append_items(ref, SESSION, 0, 0, records[:4])
    assert await visible_items(store, ref) == []
    await store.append_items(ref, SESSION, 0, 0, records[:2])
    assert await visible_items(store, ref) == records[:2]
    await store.append_items(ref, SESSION, 4, 2, records[2:])
    assert await visible_items(store, ref) == records


async def test_log_bytes_beyond_the_position_are_cut_elsewhere_the_next_time(store: Store) -> None:
    ref = (await insert_claimed(store)).ref
    faults.arm("store.between_steps=error")
    with pytest.raises(Unavailable):
        await store.append_log(ref, SESSION, 0, b"abcdef")
    await store.append_log(ref, SESSION, 0, b"abc")
    assert await stored_log(store, ref) == b"abc"
    await store.append_log(ref, SESSION, 3, b"defghi")
    assert await stored_log(store, ref) == b"abcdefghi"


async def test_an_empty_append_answers_with_the_positions(store: Store) -> None:
    ref = (await insert_claimed(store)).ref
    after = await store.append_log(ref, SESSION, 0, b"line\n")
    assert await store.append_items(ref, SESSION, 0, 0, []) == after
    assert await store.append_log(ref, SESSION, 5, b"") == after


async def test_a_batch_whose_ordinal_does_not_fit_its_offset_is_refused(store: Store) -> None:
    ref = (await insert_claimed(store)).ref
    with pytest.raises(BadInput, match="ordinal"):
        await store.append_items(ref, SESSION, 0, 1, [b"{}"])
    assert await store.items(ref) == []


async def test_items_are_bytes_as_they_were_sent(store: Store) -> None:
    ref = (await insert_claimed(store)).ref
    records = [
        b"",
        b'{"n":' + b"9" * 6000 + b"}",
        '{"ü":"\\u0000"}'.encode(),
        b"\xff\x00\r",
        b"x" * 5_000_000,
    ]
    after = await store.append_items(ref, SESSION, 0, 0, records)
    assert after == Positions(0, sum(map(len, records)) + len(records), len(records))
    assert [data for _, data in await store.items(ref)] == records


async def test_items_are_read_from_an_ordinal_on(store: Store) -> None:
    ref = (await insert_claimed(store)).ref
    await store.append_items(ref, SESSION, 0, 0, [b"%d" % number for number in range(10)])
    assert await store.items(ref, first=3, limit=2) == [(3, b"3"), (4, b"4")]
    assert await store.items(ref, first=9) == [(9, b"9")]
    assert await store.items(ref, first=10) == []


async def test_each_attempt_has_streams_of_its_own(store: Store) -> None:
    task = await insert_claimed(store)
    task = await store.swap(task, changed(task, Accept()))
    first = task.ref
    await store.append_items(first, SESSION, 0, 0, [b"first"])
    await store.append_log(first, SESSION, 0, b"first\n")
    task = await store.task(task.id)
    task = await store.swap(task, changed(task, GiveBack("drain", START)))
    task = await store.claim(task, changed(task, Assign("node-1", SESSION, START)))
    await store.append_items(task.ref, SESSION, 0, 0, [b"second"])
    await store.append_log(task.ref, SESSION, 0, b"second\n")
    assert await store.items(first) == [(0, b"first")]
    assert await store.items(task.ref) == [(0, b"second")]
    assert await store.log_tail(first) == [TailRecord(0, b"first\n")]
    assert await store.log_tail(task.ref) == [TailRecord(0, b"second\n")]


async def test_tail_records_are_kept_by_offset(store: Store) -> None:
    ref = (await insert_claimed(store)).ref
    for offset, data in ((0, b"ab"), (2, b"\x00\xff"), (4, b"e")):
        await store.append_log(ref, SESSION, offset, data)
    assert await store.log_tail(ref) == [
        TailRecord(0, b"ab"),
        TailRecord(2, b"\x00\xff"),
        TailRecord(4, b"e"),
    ]


async def test_a_tail_that_went_into_a_chunk_is_dropped(store: Store) -> None:
    ref = (await insert_claimed(store)).ref
    for offset in (0, 10, 20):
        await append_log_at(store, ref, SESSION, offset)
    await store.move_log(ref, SESSION, 30, 1000)
    await append_log_at(store, ref, SESSION, 1030)
    await store.delete_log_tail(ref, before=1030)
    await store.delete_log_tail(ref, before=1030)
    assert await store.log_tail(ref) == [TailRecord(1030, b"ten bytes\n")]
    assert await positions_of(store, ref) == Positions(log_offset=1040)


async def test_dropping_a_tail_leaves_other_attempts_alone(store: Store) -> None:
    one, other = await insert_claimed(store), await insert_claimed(store)
    for task in (one, other):
        await append_log_at(store, task.ref, SESSION, 0)
    await store.delete_log_tail(one.ref, before=10)
    assert await store.log_tail(one.ref) == []
    assert len(await store.log_tail(other.ref)) == 1


async def test_both_streams_and_swaps_move_at_once(store: Store) -> None:
    """Concurrent writers of one task: every append counts, and no swap loses to a position."""
    task = await insert_claimed(store)
    ref = task.ref

    async def write_log() -> None:
        for number in range(30):
            await append_log_at(store, ref, SESSION, number * 10)

    async def write_items() -> None:
        for number in range(30):
            await append_items_at(store, ref, SESSION, number * 10)

    async def swap() -> Task:
        latest = await store.swap(task, changed(task, Accept()))
        for number in range(30):
            latest = await store.swap(latest, changed(latest, reason=str(number)))
        return latest

    _, _, latest = await asyncio.gather(write_log(), write_items(), swap())
    assert latest.revision == task.revision + 31
    assert await positions_of(store, ref) == Positions(300, 300, 60)
    assert len(await visible_items(store, ref)) == 60
    assert await stored_log(store, ref) == b"ten bytes\n" * 30


async def test_the_same_append_twice_at_once_counts_once(store: Store) -> None:
    ref = (await insert_claimed(store)).ref
    answers = await asyncio.gather(*(append_items_at(store, ref, SESSION, 0) for _ in range(5)))
    assert set(answers) == {Positions(0, 10, 2)}
    assert await visible_items(store, ref) == [b'{"a"', b'{"b"']
