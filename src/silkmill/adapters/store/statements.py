"""Every SQL statement of the store, written with SQLAlchemy and compiled once to the text that SQLite gets.

Running the text on a plain cursor is three times as fast as running the compiled statement. Parameters are
named; those that a condition compares with begin with `if_`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, delete, func, insert, literal_column, select, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql import ClauseElement

from silkmill.adapters.store.codec import EPOCH, POSITIONS, microseconds
from silkmill.adapters.store.tables import items, log_tail, pulse, records, task_tags, tasks
from silkmill.domain.ids import uuid7
from silkmill.ports.store import TaskFilter

_dialect = sqlite.dialect(paramstyle="named")


def _sql(statement: ClauseElement) -> str:
    return str(statement.compile(dialect=_dialect))


def _if(column: ColumnElement[Any]) -> ColumnElement[bool]:
    return column == bindparam(f"if_{column.key}")


def _limited(query: Select[Any]) -> str:
    return _sql(query.limit(bindparam("limit")).offset(literal_column("0")))


_positions = [tasks.c[name] for name in POSITIONS]
_tasks = select(tasks.c.doc, *_positions)

TASK = _sql(_tasks.where(_if(tasks.c.id)))
INSERT_TASK = _sql(sqlite.insert(tasks).on_conflict_do_nothing())
TAG_NEW_TASK = _sql(  # to be run before its task is inserted
    insert(task_tags)
    .prefix_with("OR IGNORE")
    .from_select(
        ["tag", "task_id"],
        select(bindparam("tag"), bindparam("task_id")).where(
            ~select(tasks.c.id).where(tasks.c.id == bindparam("task_id")).exists(),
            ~select(tasks.c.id).where(tasks.c.firing == bindparam("firing")).exists(),
            ~select(tasks.c.id).where(tasks.c.submit_key == bindparam("submit_key")).exists(),
        ),
    )
)
DELETE_TASK = _sql(delete(tasks).where(_if(tasks.c.id), _if(tasks.c.revision)))
DELETE_TAG = _sql(delete(task_tags).where(_if(task_tags.c.tag), _if(task_tags.c.task_id)))
OWN_TASK_CHANGE = _sql(
    select(*_positions).where(_if(tasks.c.id), _if(tasks.c.revision), _if(tasks.c.change_id))
)


@cache
def change_task(names: tuple[str, ...], if_positions: bool) -> str:
    """Set these columns if the revision, and when asked the positions, are those that were read."""
    conditions = [_if(tasks.c.id), _if(tasks.c.revision)]
    if if_positions:
        conditions += map(_if, _positions)
    values: dict[str, Any] = {name: bindparam(name) for name in names}
    return _sql(update(tasks).where(*conditions).values(values).returning(*_positions))


PENDING_HEADS = _limited(
    _tasks.where(_if(tasks.c.queue)).order_by(tasks.c.waiting_priority, tasks.c.order_key, tasks.c.id)
)


def _waiting_queues() -> str:
    """From each queue straight to the next one, however many tasks are between them."""
    first = select(func.min(tasks.c.queue).label("queue")).where(tasks.c.queue.is_not(None))
    found = first.cte("found", recursive=True)
    following = select(func.min(tasks.c.queue)).where(tasks.c.queue > found.c.queue).scalar_subquery()
    found = found.union_all(select(following).where(found.c.queue.is_not(None)))
    return _sql(select(found.c.queue).where(found.c.queue.is_not(None)))


WAITING_QUEUES = _waiting_queues()
OPEN_ATTEMPTS = _sql(_tasks.where(tasks.c.attempt.is_not(None)).order_by(tasks.c.id))
DUE_CREATED = _limited(
    _tasks.where(tasks.c.release_at <= bindparam("now")).order_by(tasks.c.release_at, tasks.c.id)
)
DUE_UPKEEP = _limited(
    _tasks.where(tasks.c.upkeep_at <= bindparam("now")).order_by(tasks.c.upkeep_at, tasks.c.id)
)
FIRING = _sql(_tasks.where(_if(tasks.c.firing)))


def _firings(column: ColumnElement[Any]) -> str:
    return _limited(
        _tasks.where(column > bindparam("start"), column < bindparam("end")).order_by(column.desc())
    )


FIRINGS = _firings(tasks.c.firing)
OPEN_FIRINGS = _firings(tasks.c.open_firing)
WAITING_AFTER = _sql(select(tasks.c.id, tasks.c.waits_after).where(tasks.c.waits_after.is_not(None)))


def tasks_matching(
    where: TaskFilter, limit: int, before: str | None, newest_first: bool
) -> tuple[str, dict[str, Any]]:
    """The text and its parameters."""
    query = _tasks.where(*_matching(where)).limit(limit)
    if newest_first:
        query = query.order_by(tasks.c.id.desc())
        return _with_parameters(query if before is None else query.where(tasks.c.id < before))
    query = query.order_by(tasks.c.id)
    return _with_parameters(query if before is None else query.where(tasks.c.id > before))


def count_matching(where: TaskFilter) -> tuple[str, dict[str, Any]]:
    return _with_parameters(
        select(tasks.c.state, func.count()).where(*_matching(where)).group_by(tasks.c.state)
    )


def _with_parameters(query: Select[Any]) -> tuple[str, dict[str, Any]]:
    compiled = query.compile(dialect=_dialect, compile_kwargs={"render_postcompile": True})
    return str(compiled), compiled.params


def _matching(where: TaskFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if where.states:
        conditions.append(tasks.c.state.in_([state.value for state in where.states]))
    if where.project is not None:
        conditions.append(tasks.c.project == where.project)
    if where.spider is not None:
        conditions.append(tasks.c.spider == where.spider)
    if where.group is not None:
        conditions.append(tasks.c.group_key == where.group)
    if where.tag is not None:
        tagged = select(task_tags.c.task_id).where(task_tags.c.tag == where.tag)
        conditions.append(tasks.c.id.in_(tagged))
    if where.since is not None:
        # Ids are by time: the condition on the id lets SQLite stop early, the other one is exact.
        conditions.append(tasks.c.id >= uuid7(max(where.since, EPOCH), bytes(10)))
        conditions.append(tasks.c.created_at >= microseconds(where.since))
    if where.id_suffix is not None:
        start = where.id_suffix[::-1]
        conditions.append(tasks.c.id_reversed.between(start, start + "\U0010ffff"))
    return conditions


KEYED_TASKS = _sql(
    _tasks.where(
        tasks.c.submit_key.in_(select(func.json_each(bindparam("keys")).table_valued("value").c.value))
    )
)

FENCE = _sql(select(tasks.c.attempt, tasks.c.session, *_positions).where(_if(tasks.c.id)))
MOVE_ITEMS = _sql(
    update(tasks)
    .where(_if(tasks.c.id))
    .values(items_offset=bindparam("items_offset"), items_count=bindparam("items_count"))
)
MOVE_LOG = _sql(update(tasks).where(_if(tasks.c.id)).values(log_offset=bindparam("log_offset")))

INSERT_ITEM = _sql(insert(items).prefix_with("OR IGNORE"))
ITEMS = _limited(
    select(items.c.ordinal, items.c.data)
    .where(_if(items.c.task_id), _if(items.c.attempt), items.c.ordinal >= bindparam("first"))
    .order_by(items.c.ordinal)
)
DELETE_ITEMS = _sql(
    delete(items).where(_if(items.c.task_id), _if(items.c.attempt), items.c.ordinal < bindparam("before"))
)
INSERT_TAIL = _sql(insert(log_tail).prefix_with("OR IGNORE"))
TAIL = _sql(
    select(log_tail.c.offset, log_tail.c.data)
    .where(_if(log_tail.c.task_id), _if(log_tail.c.attempt))
    .order_by(log_tail.c.offset, log_tail.c.length)
)
DELETE_TAIL = _sql(
    delete(log_tail).where(
        _if(log_tail.c.task_id), _if(log_tail.c.attempt), log_tail.c.offset < bindparam("before")
    )
)

RECORD = _sql(select(records.c.doc, records.c.revision).where(_if(records.c.kind), _if(records.c.key)))
RECORDS = _limited(
    select(records.c.key, records.c.doc, records.c.revision)
    .where(_if(records.c.kind), records.c.key > bindparam("after"))
    .order_by(records.c.key)
)
INSERT_RECORD = _sql(insert(records).prefix_with("OR IGNORE"))
REPLACE_RECORD = _sql(
    update(records)
    .where(_if(records.c.kind), _if(records.c.key), _if(records.c.revision))
    .values({name: bindparam(name) for name in ("doc", "revision", "change_id")})
)
OWN_RECORD_CHANGE = _sql(
    select(records.c.key).where(
        _if(records.c.kind), _if(records.c.key), _if(records.c.revision), _if(records.c.change_id)
    )
)
DELETE_RECORD = _sql(delete(records).where(_if(records.c.kind), _if(records.c.key), _if(records.c.revision)))
BEAT = _sql(update(pulse).values(beats=pulse.c.beats + literal_column("1")))
