"""A data folder after a power failure: what SQLite recovers of it, compared with all that had been told."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from tests.faults.chatter import Chatter, check_complete
from tests.faults.checker import Evidence, StoredTask
from tests.faults.told import KnownTask, Told

DATABASE = "silkmill.db"


def check_recovered(folder: Path, told: Told, chatters: Iterable[Chatter]) -> int:
    """Recover the folder; raise AssertionError for anything that was told and is not there. Every stored byte
    is also compared with the spiders' own records. The answer: how many facts had been told."""
    revisions = _recover(folder / DATABASE)
    if not told.tasks and not told.versions:
        return 0  # the engine had not begun to answer; its database may not exist yet
    evidence = Evidence(folder)
    tasks = evidence.tasks()
    for task_id, known in told.tasks.items():
        assert task_id in tasks, f"{task_id} was accepted and is lost"
        assert revisions[task_id] >= known.revision, f"{task_id} was told at revision {known.revision}"
        _check_told(tasks[task_id], known)
    for chatter in chatters:
        if chatter.task_id in tasks:
            _check_record(evidence, tasks[chatter.task_id], chatter)
    _check_versions(folder, told.versions)
    return sum(known.facts for known in told.tasks.values()) + len(told.versions)


def _recover(database: Path) -> dict[str, int]:
    """Open it as the next engine would, with its log or journal. The answer: each task's revision."""
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'tasks'").fetchall():
            return {}
        return dict(connection.execute("SELECT id, revision FROM tasks").fetchall())


def _check_told(task: StoredTask, known: KnownTask) -> None:
    assert not known.state or task.state == known.state, f"{task.id}: {known.state} became {task.state}"
    items, log_bytes = task.items_count, task.log_offset
    if task.attempt is None and task.history:
        items, log_bytes = task.history[-1]["items_count"], task.history[-1]["log_offset"]
    assert items >= known.items, f"{task.id} had {known.items} items, {items} are left"
    assert log_bytes >= known.log_bytes, f"{task.id} had {known.log_bytes} bytes of log, {log_bytes} are left"


def _check_record(evidence: Evidence, task: StoredTask, chatter: Chatter) -> None:
    """All of it when the task is finished, else a beginning: never anything else, never with a gap."""
    if task.state == "finished":
        check_complete(evidence, chatter)
    elif task.attempt is not None:
        _check_beginning(evidence, task, chatter)


def _check_beginning(evidence: Evidence, task: StoredTask, chatter: Chatter) -> None:
    stored = evidence.items(task)
    if stored or task.log_offset:
        printed = chatter.attempt_record(1, "items").read_bytes().splitlines()
        assert stored == printed[: len(stored)], f"items of {task.id} differ from what was printed"
    for stream in ("stdout", "stderr"):
        if kept := evidence.stream(task, stream):
            said = chatter.attempt_record(1, stream).read_bytes()
            assert said.startswith(kept), f"{stream} of {task.id} differs from what was printed"


def _check_versions(folder: Path, told: set[str]) -> None:
    """Those that were told are there, and each that is there has all its files, unharmed."""
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        records = {
            (kind, key): json.loads(doc)
            for kind, key, doc in connection.execute("SELECT kind, key, doc FROM records")
        }
    versions = {key: value for (kind, key), value in records.items() if kind == "version"}
    assert told <= versions.keys(), f"versions {told - versions.keys()} were deployed and are lost"
    for file in (file for version in versions.values() for file in version["files"]):
        assert ("blob", file["sha256"]) in records, f"the record of {file} is lost"
        path = folder / "bucket" / records["blob", file["sha256"]]["object_name"]
        assert path.exists(), f"the content of {file} is lost"
        assert hashlib.sha256(path.read_bytes()).hexdigest() == file["sha256"], f"{path} is not what it was"
