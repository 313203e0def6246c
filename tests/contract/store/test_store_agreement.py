"""Store contract: any sequence of operations has the same answers and effects in every store."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from stores_under_test import STORES

from helpers import START, pending
from silkmill.domain.attempt import AttemptRef
from silkmill.domain.errors import IllegalTransition, SilkmillError, Unavailable
from silkmill.domain.events import (
    Accept,
    Adopt,
    Assign,
    Cancel,
    Event,
    Exit,
    Fail,
    Finish,
    GiveBack,
    Hold,
    Lose,
    Release,
    Retry,
    Start,
)
from silkmill.domain.ids import uuid7
from silkmill.domain.node import Node
from silkmill.domain.outcome import Verdict
from silkmill.domain.states import Phase, State
from silkmill.domain.task import Task, advance
from silkmill.ports.store import Store, Stored, TaskFilter
from silkmill.runtime import faults

SESSIONS = ("session-1", "session-2")
LATER = START + timedelta(hours=1)
VERDICT = Verdict("exit", "why", exit_code=3)
ENDS: tuple[Event, ...] = (
    Finish(VERDICT, START),
    Fail(VERDICT, START),
    Cancel("user", START),
    Retry(VERDICT, START, LATER),
    GiveBack("lost", START, lost=True),
)
WAYS: tuple[Event, ...] = (
    *(Assign("node-1", session, START) for session in SESSIONS),
    Release(),
    Accept(),
    Start(7, START),
    Exit(),
    Lose("silent"),
    Adopt("session-2", Phase.EXECUTING, 7, START),
    Hold("backing off", LATER),
)
EVENTS = (*WAYS, *WAYS, *WAYS, *ENDS)  # ends are rarer, or every task would be final before anything happened
TASKS = [
    Task(
        uuid7(START + timedelta(seconds=number), bytes([number]) * 10),
        "default",
        f"spider-{number % 2}",
        "v1",
        START + timedelta(seconds=number),
        order=-number,
        priority=5 - number % 2,
        tags=("odd",) if number % 2 else (),
        state=State.CREATED if number == 2 else State.PENDING,
    )
    for number in range(3)
]
KEYS = ("a", "b")

Operation = Callable[[Store], Awaitable[Any]]


@dataclass
class Reader:
    """What a client has read so far, stale values too: the `old` of its next writes."""

    tasks: list[Task] = field(default_factory=lambda: list(TASKS))
    records: list[Stored[Node]] = field(default_factory=list)
    changes: int = 0

    def change_id(self, fresh: bool) -> str:
        self.changes += fresh
        return f"change-{self.changes}"


indexes = st.integers(0, len(TASKS) - 1)
staleness = st.sampled_from([0, 0, 0, 0, 0, 1, 2])
mostly_fresh = st.sampled_from([True] * 9 + [False])


def changes() -> st.SearchStrategy[tuple[Any, ...]]:
    return st.tuples(st.just("change"), indexes, staleness, st.integers(0, 30), mostly_fresh)


def stream_write(name: str) -> st.SearchStrategy[tuple[Any, ...]]:
    """Mostly to the open attempt under its session at its position; else just beside one of these."""
    behind = st.sampled_from([0, 0, 0, 0, -1])
    session = st.sampled_from([None, None, None, None, *SESSIONS])
    return st.tuples(st.just(name), indexes, behind, session, st.sampled_from([0, 0, 0, 0, 0, -6, 6, 2]))


def record_write(name: str) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.tuples(st.just(name), staleness, st.sampled_from(KEYS), mostly_fresh)


any_step = st.one_of(
    *(changes() for _ in range(5)),
    *(stream_write(name) for name in ("append_items", "append_log", "move_log", "delete_log_tail")),
    *(record_write(name) for name in ("insert_record", "replace_record")),
    st.tuples(st.just("insert_tasks"), st.lists(indexes, max_size=4)),
)
fault = st.sampled_from([None] * 5 + ["store.before_commit", "store.between_steps", "store.after_commit"])
steps = st.lists(st.tuples(any_step, fault), min_size=25, max_size=60)


def known(reader: Reader, index: int, back: int = 0) -> Task:
    """A task as it was read last, or `back` readings before."""
    read = [task for task in reader.tasks if task.id == TASKS[index].id]
    return read[max(0, len(read) - 1 - back)]


def legal_changes(task: Task) -> list[tuple[Event, Task]]:
    changes = []
    for event in EVENTS:
        with suppress(IllegalTransition):
            changes.append((event, advance(task, event)))
    return changes


def operation_of(step: tuple[Any, ...], reader: Reader) -> Operation | None:
    """The call that the step stands for; None when it makes no sense now."""
    match step:
        case "insert_tasks", chosen:
            return lambda store: store.insert_tasks([TASKS[index] for index in chosen])
        case "change", index, back, choice, fresh:
            old, change_id = known(reader, index, back), reader.change_id(fresh)
            changes = legal_changes(old)
            if not changes or change_id == old.change_id:
                return None
            event, new = changes[choice % len(changes)]
            write = "claim" if isinstance(event, Assign) else "swap"
            return lambda store: getattr(store, write)(old, replace(new, change_id=change_id))
        case "insert_record", number, key, _:
            node = Node(key, str(number), "s", 1, "b", START)
            return lambda store: store.insert_record(key, node)
        case "replace_record", back, _, fresh:
            if not reader.records:
                return None
            record = reader.records[-1 - back % len(reader.records)]
            changed, change_id = replace(record.value, beat=reader.changes), reader.change_id(fresh)
            return lambda store: store.replace_record(record, changed, change_id)
        case _:
            return stream_operation(step, reader)


def stream_operation(step: tuple[Any, ...], reader: Reader) -> Operation:
    name, index, behind, session, delta = step
    task = known(reader, index)
    session = session or (task.attempt and task.attempt.session) or "session-1"
    ref, at = AttemptRef(task.id, max(1, task.last_number + behind)), task.positions
    log_at, items_at = max(0, at.log_offset + delta), max(0, at.items_offset + delta)
    match name:
        case "append_items":
            first = at.items_count + delta // 3
            # The stream of an attempt is one and the same, however it is cut: bytes depend on place alone.
            records = [b"%02d" % (ordinal % 100) for ordinal in range(first, first + 2)]
            return lambda store: store.append_items(ref, session, items_at, first, records)
        case "append_log":
            data = bytes(place % 251 for place in range(log_at, log_at + 6))
            return lambda store: store.append_log(ref, session, log_at, data)
        case "move_log":
            return lambda store: store.move_log(ref, session, log_at, 6)
        case _:
            return lambda store: store.delete_log_tail(ref, before=log_at)


async def answer(operation: Operation, store: Store, armed: str | None) -> object:
    """The answer or the refusal. After a fault it is that of the repeat, as a caller would do it."""
    if armed:
        faults.arm(f"{armed}=error")
    try:
        return await operation(store)
    except Unavailable:
        faults.disarm()
        return await answer(operation, store, None)
    except SilkmillError as refusal:
        return type(refusal), str(refusal)
    finally:
        faults.disarm()


async def everything(store: Store) -> list[object]:
    """All that a reader of the store can tell."""
    tasks = await store.tasks(TaskFilter(), limit=100)
    streams = []
    for task in tasks:
        for number in range(1, task.last_number + 1):
            ref = AttemptRef(task.id, number)
            counts = {closed.number: closed.items_count for closed in task.history}
            count = task.positions.items_count if task.ref == ref else counts.get(number, 0)
            streams.append((ref, [item for item in await store.items(ref) if item[0] < count]))
            streams.append((ref, visible_tail(task, ref, await store.log_tail(ref))))
    queries = (
        store.open_attempts(),
        pending(store, 3),
        store.due_created(LATER, 10),
        store.due_upkeep(LATER, 10),
        store.count_tasks(spider="spider-1"),
        store.tasks(TaskFilter(states=(State.PENDING, State.RUNNING), tag="odd"), limit=1),
        store.records(Node),
    )
    return [tasks, streams, *[await query for query in queries]]


def visible_tail(task: Task, ref: AttemptRef, tail: list[Any]) -> dict[int, int]:
    """Byte by byte, cut at the position: how the records are cut is no reader's business."""
    sizes = {closed.number: closed.log_offset for closed in task.history}
    size = task.positions.log_offset if task.ref == ref else sizes.get(ref.number, 0)
    found = ((record.offset + place, byte) for record in tail for place, byte in enumerate(record.data))
    return {place: byte for place, byte in found if place < size}


async def compare(given_steps: list[tuple[tuple[Any, ...], str | None]], stores: list[Store]) -> None:
    reader = Reader()
    for step, armed in given_steps:
        operation = operation_of(step, reader)
        if operation is None:
            continue
        answers = [await answer(operation, store, armed) for store in stores]
        assert answers[1:] == answers[:-1], step
        reader.tasks += await stores[0].tasks(TaskFilter(), limit=100)
        reader.records += await stores[0].records(Node)
    found = [await everything(store) for store in stores]
    assert found[1:] == found[:-1]


# Two of the tasks begin with an open attempt.
BEGINNING: list[tuple[tuple[Any, ...], str | None]] = [
    (("insert_tasks", [0, 1, 2]), None),
    (("change", 0, 0, 0, True), None),
    (("change", 1, 0, 1, True), None),
]


@settings(max_examples=60, deadline=None)
@given(steps)
def test_all_stores_agree(given_steps: list[tuple[tuple[Any, ...], str | None]]) -> None:
    with ExitStack() as stack:
        stores = []
        for open_store in STORES.values():
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            stores.append(stack.enter_context(open_store(folder)))
        asyncio.run(compare([*BEGINNING, *given_steps], stores))
