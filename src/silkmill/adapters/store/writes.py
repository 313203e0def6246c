"""What SqliteStore's writer runs: each function makes one write, which changes all it says or nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, TypeVar

from silkmill.adapters.store import codec, rules
from silkmill.adapters.store import statements as sql
from silkmill.adapters.store.counting import CountingCursor, Place
from silkmill.adapters.store.writer import Single, Write
from silkmill.domain.attempt import AttemptRef, Positions
from silkmill.domain.errors import Duplicate
from silkmill.domain.task import Task, appended, check_writer
from silkmill.ports.store import Stored
from silkmill.runtime import faults

Record = TypeVar("Record")


def insert_tasks(tasks: Sequence[Task]) -> Write[None]:
    """A task that is there already, by its id, its firing or its key, stays as it is."""
    rows = _first_of_each_key([_row(task) for task in tasks])
    given = {task.id: task.tags for task in tasks if task.tags}
    tags = [_tag(tag, row) for row in (rows if given else ()) for tag in given.get(row["id"], ())]
    # In the order in which they will run: those that change together then lie in one page.
    runs = [(place, list(some)) for place, some in groupby(rows, _place_of_row)]

    def run(cursor: CountingCursor) -> None:
        if tags:
            cursor.executemany(sql.TAG_NEW_TASK, tags)
        for place, some in runs:
            cursor.counts[place] += cursor.executemany(sql.INSERT_TASK, some).rowcount

    return run if tags or len(rows) > 1 else Single(run)


def _place_of_row(row: dict[str, Any]) -> Place:
    return row["project"], row["spider"], row["state"]


def _tag(tag: str, row: dict[str, Any]) -> dict[str, Any]:
    names = ("state", "project", "spider", "firing", "submit_key")
    return {"tag": tag, "task_id": row["id"], **{name: row[name] for name in names}}


def _first_of_each_key(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of rows with the same key the first one is stored: the others leave nothing, no tag either."""
    first: dict[str, dict[str, Any]] = {}
    return [
        row for row in rows if row["submit_key"] is None or first.setdefault(row["submit_key"], row) is row
    ]


def change_task(old: Task, new: Task, positions: dict[str, int]) -> Write[Positions]:
    """`new` with its final revision, over `old`. Answers with the stored positions."""
    before, after = codec.index_of(old), codec.index_of(new)
    values: dict[str, Any] = {name: value for name, value in after.items() if value != before[name]}
    values |= {"doc": codec.encode(new), "revision": new.revision, "change_id": new.change_id, **positions}
    closes = rules.closes_attempt(old, new)
    statement = sql.change_task(tuple(values), closes)
    values |= {"if_id": old.id, "if_revision": old.revision, "if_state": old.state}
    if closes:
        values |= {f"if_{name}": value for name, value in codec.fields_of(old.positions).items()}
    own = {"if_id": old.id, "if_revision": new.revision, "if_change_id": new.change_id}
    moves = "state" in values
    tags = [tag | {"state": new.state} for tag in _tags_of(old)] if moves else []

    def run(cursor: CountingCursor) -> Positions:
        try:
            rows = cursor.execute(statement, values).fetchall()
        except sqlite3.IntegrityError:  # a permit is another's
            raise rules.conflict(old) from None
        if rows and moves:
            cursor.executemany(sql.MOVE_TAG, tags)
            cursor.move(_place(old), _place(new))
        rows = rows or cursor.execute(sql.OWN_TASK_CHANGE, own).fetchall()
        if not rows:
            raise rules.conflict(old)
        return Positions(*rows[0])

    return run if tags else Single(run)


def delete_task(old: Task) -> Write[None]:
    given = {"if_id": old.id, "if_revision": old.revision, "if_state": old.state}

    def run(cursor: CountingCursor) -> None:
        deleted = cursor.execute(sql.DELETE_TASK, given)
        if deleted.rowcount:
            cursor.counts[_place(old)] -= 1
        elif cursor.execute(sql.TASK, {"if_id": old.id}).fetchall():
            raise rules.conflict(old)
        cursor.executemany(sql.DELETE_TAG, _tags_of(old))

    return run


def append_items(
    ref: AttemptRef, session: str, offset: int, first_ordinal: int, records: Sequence[bytes]
) -> Write[Positions]:
    length = rules.items_length(records)

    def run(cursor: sqlite3.Cursor) -> Positions:
        stored = _fenced(cursor, ref, session)
        if appended(stored.items_offset, offset, length):
            return stored
        rules.check_ordinal(stored, first_ordinal)
        rows = [_item(ref, ordinal, data) for ordinal, data in enumerate(records, first_ordinal)]
        cursor.executemany(sql.INSERT_ITEM, rows)
        faults.hit("store.between_steps")
        moved = {"items_offset": offset + length, "items_count": first_ordinal + len(records)}
        cursor.execute(sql.MOVE_ITEMS, {"if_id": ref.task_id, **moved})
        return replace(stored, **moved)

    return run


def append_log(ref: AttemptRef, session: str, offset: int, data: bytes) -> Write[Positions]:
    row = {"task_id": ref.task_id, "attempt": ref.number, "offset": offset, "length": len(data), "data": data}

    def run(cursor: sqlite3.Cursor) -> Positions:
        stored = _fenced(cursor, ref, session)
        if appended(stored.log_offset, offset, len(data)):
            return stored
        cursor.execute(sql.INSERT_TAIL, row)
        faults.hit("store.between_steps")
        return _move_log(cursor, ref, stored, offset + len(data))

    return run


def move_log(ref: AttemptRef, session: str, offset: int, length: int) -> Write[Positions]:
    def run(cursor: sqlite3.Cursor) -> Positions:
        stored = _fenced(cursor, ref, session)
        if appended(stored.log_offset, offset, length):
            return stored
        faults.hit("store.between_steps")
        return _move_log(cursor, ref, stored, offset + length)

    return run


def delete_items(ref: AttemptRef, before: int) -> Write[None]:
    where = {"if_task_id": ref.task_id, "if_attempt": ref.number, "before": before}

    def run(cursor: sqlite3.Cursor) -> None:
        cursor.execute(sql.DELETE_ITEMS, where)

    return Single(run)


def delete_log_tail(ref: AttemptRef, before: int) -> Write[None]:
    where = {"if_task_id": ref.task_id, "if_attempt": ref.number, "before": before}

    def run(cursor: sqlite3.Cursor) -> None:
        cursor.execute(sql.DELETE_TAIL, where)

    return Single(run)


def insert_record(key: str, value: object) -> Write[None]:
    kind = codec.kind_name(type(value))
    row = {"kind": kind, "key": key, "revision": 0, "change_id": "", "doc": codec.encode(value)}

    def run(cursor: sqlite3.Cursor) -> None:
        if cursor.execute(sql.INSERT_RECORD, row).rowcount == 0:
            raise Duplicate(f"{kind} {key}")

    return Single(run)


def replace_record(old: Stored[Record], value: Record, change_id: str) -> Write[None]:
    one = {"if_kind": codec.kind_name(type(value)), "if_key": old.key}
    values = {"doc": codec.encode(value), "revision": old.revision + 1, "change_id": change_id}
    own = {**one, "if_revision": old.revision + 1, "if_change_id": change_id}

    def run(cursor: sqlite3.Cursor) -> None:
        replaced = cursor.execute(sql.REPLACE_RECORD, {**one, **values, "if_revision": old.revision})
        if replaced.rowcount == 0 and not cursor.execute(sql.OWN_RECORD_CHANGE, own).fetchall():
            raise rules.record_conflict(old)

    return Single(run)


def delete_record(old: Stored[Record]) -> Write[None]:
    one = {"if_kind": codec.kind_name(type(old.value)), "if_key": old.key}

    def run(cursor: CountingCursor) -> None:
        deleted = cursor.execute(sql.DELETE_RECORD, {**one, "if_revision": old.revision})
        if deleted.rowcount == 0 and cursor.execute(sql.RECORD, one).fetchall():
            raise rules.record_conflict(old)

    return Single(run)


def beat(cursor: sqlite3.Cursor) -> None:
    cursor.execute(sql.BEAT)


def _row(task: Task) -> dict[str, Any]:
    return {
        "id": task.id,
        "id_reversed": task.id[::-1],
        "revision": task.revision,
        "change_id": task.change_id,
        **codec.index_of(task),
        **codec.fields_of(task.positions),
        "doc": codec.encode(task),
    }


def _tags_of(task: Task) -> list[dict[str, Any]]:
    return [{"if_tag": tag, "if_state": task.state, "if_task_id": task.id} for tag in task.tags]


def _place(task: Task) -> Place:
    return task.project, task.spider, task.state


def _item(ref: AttemptRef, ordinal: int, data: bytes) -> dict[str, Any]:
    return {"task_id": ref.task_id, "attempt": ref.number, "ordinal": ordinal, "data": data}


def _fenced(cursor: sqlite3.Cursor, ref: AttemptRef, session: str) -> Positions:
    """The stored positions, if `ref` is the open attempt under `session`; else raises the refusal."""
    rows = cursor.execute(sql.FENCE, {"if_id": ref.task_id}).fetchall()
    if rows and rows[0][:2] == (ref.number, session):
        return Positions(*rows[0][2:])
    rows = cursor.execute(sql.TASK, {"if_id": ref.task_id}).fetchall()
    return check_writer(codec.decode(Task, rows[0][0]) if rows else None, ref, session).positions


def _move_log(cursor: sqlite3.Cursor, ref: AttemptRef, stored: Positions, log_offset: int) -> Positions:
    cursor.execute(sql.MOVE_LOG, {"if_id": ref.task_id, "log_offset": log_offset})
    return replace(stored, log_offset=log_offset)
