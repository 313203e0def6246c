"""SQLite alone: the schema of a new file, of a migrated one, and the plans that its queries get."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from helpers import changed, make_task
from silkmill.adapters.store import codec, migrations, schema, statements
from silkmill.adapters.store.migrations import run
from silkmill.adapters.store.sqlite import SqliteStore
from silkmill.domain.placement import queue_name
from silkmill.domain.spider import SpiderConfig
from silkmill.domain.states import State
from silkmill.domain.version import FileEntry, SpiderVersion, Version
from silkmill.ports.store import TaskFilter

WITHOUT_CHANGE = {"limit": 1, "now": 1, "first": 0, "before": 0, "after": "", "ids": "[]", "keys": "[]"} | {
    "start": "",
    "end": "",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "silkmill.db"


def schema_of(path: Path) -> dict[str, Any]:
    """Columns of every table and text of every index."""
    with closing(sqlite3.connect(path)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = {name: database.execute(f"PRAGMA table_xinfo({name})").fetchall() for name in tables}
        stored = {
            name: (" ".join(text.split()) if text else None, without_rowid)
            for name, text, without_rowid in database.execute(
                "SELECT name, iif(type = 'index', sql, NULL), sql LIKE '%WITHOUT ROWID%' FROM sqlite_master"
            )
        }
        pulse = database.execute("SELECT * FROM pulse").fetchall()
    return {"columns": columns, "stored": stored, "pulse": pulse}


def test_migrations_lead_to_the_schema_of_a_new_file(tmp_path: Path) -> None:
    new, migrated = tmp_path / "new.db", tmp_path / "migrated.db"
    schema.bring_to_head(new)
    run(migrated)
    assert schema_of(migrated) == schema_of(new)


def test_tasks_of_the_first_schema_are_kept_and_work_as_new_ones(path: Path) -> None:
    run(path, "0001")
    task = make_task(tags=("kept",))
    row = {"id": task.id, "id_reversed": task.id[::-1], "doc": codec.encode(task), "change_id": ""}
    row |= codec.index_of(task) | codec.fields_of(task.positions) | {"revision": 0}
    with closing(sqlite3.connect(path)) as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(tasks)")]
        values = ", ".join(f":{name}" for name in columns)
        database.execute(f"INSERT INTO tasks ({', '.join(columns)}) VALUES ({values})", row)
        database.commit()

    async def look() -> None:
        with SqliteStore.open(path) as store:
            assert await store.task(task.id) == task
            assert await store.waiting_queues() == [queue_name(task.project, task.spider, None)]
            assert await store.pending_heads(await store.waiting_queues(), 1) == [task]
            fired = make_task(firing="a/b/c@2026-03-01T12:00:00Z#0", after=task.id, state=State.CREATED)
            await store.insert_tasks([fired])
            assert await store.firing("a/b/c@2026-03-01T12:00:00Z#0") == fired
            assert await store.waiting_after() == [(fired.id, task.id)]

    asyncio.run(look())


async def test_tags_and_numbers_of_older_tasks_are_known(path: Path) -> None:
    """And go on with their tasks."""
    run(path, "0004")
    task, other = make_task(tags=("kept",)), make_task(state=State.ERROR, project="shop")
    with closing(sqlite3.connect(path)) as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(tasks)")]
        values = ", ".join(f":{name}" for name in columns)
        for one in (task, other):
            row = {"id": one.id, "id_reversed": one.id[::-1], "doc": codec.encode(one), "change_id": ""}
            row |= codec.index_of(one) | codec.fields_of(one.positions) | {"revision": 0}
            database.execute(f"INSERT INTO tasks ({', '.join(columns)}) VALUES ({values})", row)
        database.execute("INSERT INTO task_tags (tag, task_id) VALUES ('kept', ?)", (task.id,))
        database.commit()
    with SqliteStore.open(path) as store:
        assert await store.tasks(TaskFilter(tag="kept", states=(State.PENDING,)), limit=9) == [task]
        assert await store.count_tasks() == {State.PENDING: 1, State.ERROR: 1}
        ended = await store.swap(task, changed(task, state=State.CANCELLED))
        assert await store.tasks(TaskFilter(tag="kept", states=(State.CANCELLED,)), limit=9) == [ended]
        assert await store.count_tasks("default") == {State.CANCELLED: 1}


async def test_versions_of_the_first_schema_are_listed_with_their_spiders(path: Path) -> None:
    run(path, "0001")
    files = (FileEntry("main.py", "ab", 3), FileEntry("spider.toml", "cd", 4))
    spiders = {name: SpiderConfig(name, "shop") for name in ("news", "olds")}
    version = Version("v1", "shop", files, spiders, datetime(2026, 3, 1, tzinfo=UTC))
    with closing(sqlite3.connect(path)) as database:
        row = ("version", "v1", 0, "", codec.encode(version))
        database.execute("INSERT INTO records (kind, key, revision, change_id, doc) VALUES (?,?,?,?,?)", row)
        database.commit()
    with SqliteStore.open(path) as store:
        listed = await store.records(SpiderVersion)
    assert [(one.key, one.value) for one in listed] == [
        (f"shop/{name}/v1", SpiderVersion("shop", name, "v1", 2, 7, version.created_at)) for name in spiders
    ]


def test_versions_are_listed_one_at_a_time(path: Path) -> None:
    """A manifest may name ten thousands of files, and there may be thousands of them."""
    run(path, "0003")
    version = b'{"id": "v", "project": "shop", "spiders": [], "files": [], "created_at": "", "x": "%s"}'
    with closing(sqlite3.connect(path)) as database:
        for number in range(40):
            row = ("version", f"v{number}", 0, "", version % (b"x" * (1 << 20)))
            database.execute(
                "INSERT INTO records (kind, key, revision, change_id, doc) VALUES (?,?,?,?,?)", row
            )
        database.commit()
    run(path, "0003")  # what alembic loads once
    tracemalloc.start()
    run(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 << 20


async def test_a_task_that_is_not_stored_leaves_no_tag(path: Path) -> None:
    first, *others = [make_task(key="page-1", tags=("a", "b")) for _ in range(3)]
    with SqliteStore.open(path) as store:
        await store.insert_tasks([first, others[0]])
        await store.insert_tasks([others[1]])
    with closing(sqlite3.connect(path)) as database:
        assert set(database.execute("SELECT task_id FROM task_tags")) == {(first.id,)}


async def test_a_deleted_task_leaves_no_tag(path: Path) -> None:
    """None of them is found any more in either case: whoever looks asks the task too."""
    task, other = make_task(tags=("a", "b")), make_task(tags=("a",))
    with SqliteStore.open(path) as store:
        await store.insert_tasks([task, other])
        await store.delete_task(task)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT tag, task_id FROM task_tags").fetchall() == [("a", other.id)]


def test_the_newest_migration_is_the_head() -> None:
    versions = Path(migrations.__file__).parent / "versions"
    assert max(file.name.partition("_")[0] for file in versions.glob("*.py")) == schema.HEAD


def test_an_older_file_is_migrated_when_it_is_opened(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    schema.bring_to_head(path)
    migrated: list[Path] = []
    monkeypatch.setattr(schema, "upgrade", migrated.append)
    schema.bring_to_head(path)
    assert migrated == []
    monkeypatch.setattr(schema, "HEAD", "9999")
    schema.bring_to_head(path)
    assert migrated == [path]


def test_migrating_is_all_or_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("alembic.operations.Operations.bulk_insert", fail)
    with pytest.raises(KeyboardInterrupt):
        schema.upgrade(path)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == []
    monkeypatch.undo()
    schema.upgrade(path)


def test_a_file_of_a_newer_version_is_refused(path: Path) -> None:
    schema.bring_to_head(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    with pytest.raises(schema.NewerSchema, match="9999"), SqliteStore.open(path):
        pass


def test_opening_does_not_load_alembic(path: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "from silkmill.adapters.store.sqlite import SqliteStore\n"
        "for _ in range(2):\n"
        "    with SqliteStore.open(pathlib.Path(sys.argv[1])): pass\n"
        "assert 'alembic' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, env=dict(os.environ))


@pytest.fixture
def plan(path: Path) -> Iterator[Any]:
    """How SQLite would run a statement, as one line."""
    schema.bring_to_head(path)
    with closing(sqlite3.connect(path)) as database:
        yield lambda text, parameters: " · ".join(
            row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {text}", parameters)
        )


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("PENDING_HEADS", "tasks_waiting"),
        ("WAITING_QUEUES", "tasks_waiting"),
        ("KEYED_TASKS", "submit_keys"),
        ("OPEN_ATTEMPTS", "tasks_with_open_attempt"),
        ("DUE_CREATED", "tasks_to_release"),
        ("DUE_UPKEEP", "tasks_for_upkeep"),
        ("TAIL", "task_id=? AND attempt=?"),
        ("ITEMS", "task_id=? AND attempt=? AND ordinal>?"),
        ("RECORDS", "kind=? AND key>?"),
        ("FIRING", "tasks_by_firing"),
        ("FIRINGS", "tasks_by_firing"),
        ("OPEN_FIRINGS", "tasks_by_open_firing"),
        ("WAITING_AFTER", "COVERING INDEX tasks_waiting_after"),
    ],
)
def test_a_query_follows_its_index_in_its_order(plan: Any, name: str, index: str) -> None:
    names = ("task_id", "attempt", "kind", "queue", "firing")
    how = plan(getattr(statements, name), WITHOUT_CHANGE | {f"if_{name}": 1 for name in names})
    assert index in how
    assert "TEMP B-TREE" not in how


PLACES = {
    "sqlite_autoindex_tasks_1": {},
    "tasks_by_state (state=?": {"states": (State.ERROR,)},
    "tasks_by_project (project=? AND state=?": {"project": "shop"},
    "tasks_by_project_and_spider (project=? AND spider=? AND state=?": {"project": "shop", "spider": "news"},
    "PRIMARY KEY (tag=? AND state=?": {"tag": "daily"},
    "tags_by_project (tag=? AND project=? AND state=?": {"tag": "daily", "project": "shop"},
    "tags_by_project_and_spider (tag=? AND project=? AND spider=? AND state=?": {
        "tag": "daily",
        "project": "shop",
        "spider": "news",
    },
}


@pytest.mark.parametrize("where", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("states", [(), (State.ERROR,), (State.ERROR, State.PENDING)])
@pytest.mark.parametrize("newest_first", [True, False])
def test_a_list_is_a_range_of_one_index_in_each_state(
    plan: Any, where: dict[str, Any], states: tuple[State, ...], newest_first: bool
) -> None:
    """Up to its cursor and the moment since when it is asked for, already in order."""
    index = next(name for name, asked in PLACES.items() if asked == where)
    asked = TaskFilter(**{"states": states, **where, "since": datetime(2026, 3, 1, tzinfo=UTC)})
    how = plan(*statements.tasks_matching(asked, 10, "x", newest_first)).split(" · ")
    looked = [step for step in how if step.startswith(("SEARCH", "SCAN")) and "_1 (id=?)" not in step]
    if index == "sqlite_autoindex_tasks_1" and states:
        index = "tasks_by_state (state=?"
    count = len(asked.states) or (len(State) if where else 1)
    assert [index in step and ("_id>?" in step or "id>?" in step) for step in looked] == [True] * count, how
    assert not any("TEMP B-TREE FOR ORDER" in step for step in how)


def test_a_group_is_found_by_its_index(plan: Any) -> None:
    assert "tasks_by_group" in plan(*statements.tasks_matching(TaskFilter(group="g"), 10, None, True))


def test_a_tag_of_a_new_task_looks_its_task_up(plan: Any) -> None:
    names = ("tag", "state", "task_id", "project", "spider", "firing", "submit_key")
    how = plan(statements.TAG_NEW_TASK, dict.fromkeys(names, "a"))
    assert "sqlite_autoindex_tasks_1 (id=?)" in how
    assert "tasks_by_firing (firing=?)" in how


def test_the_end_of_an_id_is_looked_up(plan: Any) -> None:
    assert "tasks_by_id_end" in plan(
        *statements.tasks_matching(TaskFilter(id_suffix="abcdef"), 10, None, True)
    )
