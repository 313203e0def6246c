"""The tables of the SQL stores: `doc` is the record as JSON, the columns are what it is found by."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
)

metadata = MetaData()

# Times are microseconds since 1970. `id_reversed` finds a task by the last characters of its id.
# `queue` is set only while a task waits for a slot, `release_at` and `waits_after` only while it is created,
# `open_firing` only until it ends: so their indexes stay as small as what waits, and the planner cannot miss
# them. A permit is set while an attempt holds it.
tasks = Table(
    "tasks",
    metadata,
    Column("id", Text, primary_key=True, nullable=False),
    Column("id_reversed", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("change_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempt", BigInteger),
    Column("session", Text),
    Column("waiting_priority", Integer),
    Column("order_key", BigInteger, nullable=False),
    Column("project", Text, nullable=False),
    Column("spider", Text, nullable=False),
    Column("group_key", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("release_at", BigInteger),
    Column("upkeep_at", BigInteger),
    Column("log_offset", BigInteger, nullable=False),
    Column("items_offset", BigInteger, nullable=False),
    Column("items_count", BigInteger, nullable=False),
    Column("doc", LargeBinary, nullable=False),
    Column("queue", Text),
    Column("spider_permit", Text),
    Column("project_permit", Text),
    Column("submit_key", Text),
    Column("firing", Text),
    Column("open_firing", Text),
    Column("waits_after", Text),
)
_id = tasks.c.id


def _index_where_set(name: str, column: Column[Any], *others: Column[Any], unique: bool = False) -> None:
    Index(name, column, *others, sqlite_where=column.is_not(None), unique=unique)


Index("tasks_by_id_end", tasks.c.id_reversed)
Index("tasks_by_state", tasks.c.state, _id)
# A spider without its project is looked for in each project that has one of that name.
Index("tasks_by_project", tasks.c.project, tasks.c.state, _id)
Index("tasks_by_project_and_spider", tasks.c.project, tasks.c.spider, tasks.c.state, _id)
_index_where_set("tasks_by_group", tasks.c.group_key, _id)
_index_where_set("tasks_waiting", tasks.c.queue, tasks.c.waiting_priority, tasks.c.order_key, _id)
_index_where_set("tasks_to_release", tasks.c.release_at, _id)
_index_where_set("tasks_for_upkeep", tasks.c.upkeep_at, _id)
_index_where_set("tasks_by_firing", tasks.c.firing, unique=True)
_index_where_set("tasks_by_open_firing", tasks.c.open_firing)
_index_where_set("tasks_waiting_after", tasks.c.waits_after, _id)
Index("tasks_with_open_attempt", _id, sqlite_where=tasks.c.attempt.is_not(None))
_index_where_set("spider_permits", tasks.c.spider_permit, unique=True)
_index_where_set("project_permits", tasks.c.project_permit, unique=True)
_index_where_set("submit_keys", tasks.c.submit_key, unique=True)

# Tags never change, so they are written once, beside their task; with them stands what they are looked for
# together with, so that every list is a range of an index in each state. The state follows that of the task.
task_tags = Table(
    "task_tags",
    metadata,
    Column("tag", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("task_id", Text, nullable=False),
    Column("project", Text, nullable=False),
    Column("spider", Text, nullable=False),
    PrimaryKeyConstraint("tag", "state", "task_id"),
    sqlite_with_rowid=False,
)
_tag, _tagged = task_tags.c.tag, (task_tags.c.state, task_tags.c.task_id)
Index("tags_by_project", _tag, task_tags.c.project, *_tagged)
Index("tags_by_project_and_spider", _tag, task_tags.c.project, task_tags.c.spider, *_tagged)

# How many tasks there are: to count them takes longer the more there are.
task_counts = Table(
    "task_counts",
    metadata,
    Column("project", Text, nullable=False),
    Column("spider", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("count", BigInteger, nullable=False),
    PrimaryKeyConstraint("project", "spider", "state"),
    sqlite_with_rowid=False,
)

items = Table(
    "items",
    metadata,
    Column("task_id", Text, nullable=False),
    Column("attempt", BigInteger, nullable=False),
    Column("ordinal", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("task_id", "attempt", "ordinal"),
    sqlite_with_rowid=False,
)

log_tail = Table(
    "log_tail",
    metadata,
    Column("task_id", Text, nullable=False),
    Column("attempt", BigInteger, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("length", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("task_id", "attempt", "offset", "length"),
)

records = Table(
    "records",
    metadata,
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("change_id", Text, nullable=False),
    Column("doc", LargeBinary, nullable=False),
    PrimaryKeyConstraint("kind", "key"),
)

# One row that `ping` rewrites, to know that the store takes writes.
pulse = Table(
    "pulse",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("beats", BigInteger, nullable=False),
)
