"""Schedules of a real engine: killed with kill -9 while it makes up for 250 days, and by the real clock."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.engine.server import FINAL, Server, spider_folder, wait_for

DAILY = '[[schedules]]\nname = "daily"\ncron = "@daily"\ncatchup = "all"\noverlap = "allow"\n'
MOST_AT_ONCE = 100


@pytest.fixture
def away(tmp_path: Path) -> Iterator[Server]:
    """An engine that was away over 250 instants of a daily schedule; it does not run yet."""
    with Server(tmp_path / "data") as server:
        server.deploy(spider_folder(tmp_path, "timed", "", DAILY, command="true"))
        server.kill()
        put_back(server, timedelta(days=250))
        yield server


def put_back(server: Server, time: timedelta) -> None:
    """As if the schedules had not been looked at for so long."""
    with closing(sqlite3.connect(server.data / "silkmill.db")) as database:
        rows = database.execute("SELECT key, doc FROM records WHERE kind = 'schedule'").fetchall()
        for key, text in rows:
            schedule = json.loads(text)
            until = datetime.fromisoformat(schedule["evaluated_until"]) - time
            schedule["evaluated_until"] = until.isoformat()
            doc = json.dumps(schedule).encode()
            database.execute("UPDATE records SET doc = ? WHERE kind = 'schedule' AND key = ?", (doc, key))
        database.commit()


def firings(server: Server) -> list[dict[str, Any]]:
    """Of the database, whether the engine runs or not; by instant."""
    with closing(sqlite3.connect(server.data / "silkmill.db")) as database:
        rows = database.execute("SELECT doc FROM tasks WHERE firing IS NOT NULL ORDER BY firing").fetchall()
    return [json.loads(doc) for (doc,) in rows]


def instant(task: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(task["firing"].split("@")[1].removesuffix("#0"))


def check(made: list[dict[str, Any]]) -> None:
    """The newest hundred midnights, each once; midnight may pass during the test."""
    times = [instant(task) for task in made]
    assert {later - earlier for earlier, later in pairwise(times)} == {timedelta(days=1)}
    assert len(times) in (MOST_AT_ONCE, MOST_AT_ONCE + 1)
    assert datetime.now(UTC) - times[-1] < timedelta(days=1)


def ended(server: Server) -> list[dict[str, Any]] | None:
    made = firings(server)
    return made if len(made) >= MOST_AT_ONCE and {task["state"] for task in made} <= FINAL else None


def test_killed_between_the_tasks_and_the_evaluation_none_is_made_twice(away: Server) -> None:
    away.env = {"SILKMILL_FAULTS": "cron.after_insert=kill"}
    away.start(wait=False)
    assert away.process is not None
    away.process.wait(60)
    made = {task["id"] for task in firings(away)}
    assert len(made) == MOST_AT_ONCE
    away.env = {}
    away.start()
    found = wait_for(lambda: ended(away), "all firings to end", seconds=60) or []
    check(found)
    assert made <= {task["id"] for task in found}
    assert {task["state"] for task in found} == {"finished"}


def test_killed_again_and_again_while_it_fires_each_instant_has_one_task(away: Server) -> None:
    for count in (1, 30, 60):
        away.start(wait=False)
        wait_for(lambda count=count: len(firings(away)) >= count, f"{count} firings", seconds=60)  # type: ignore[misc]
        away.kill()
    away.start()
    check(wait_for(lambda: ended(away), "all firings to end", seconds=60) or [])


@pytest.mark.slow
def test_by_the_real_clock_it_fires_in_its_minute(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        server.deploy(spider_folder(tmp_path, "timed", "print('ran')"))
        written = {"spider": "timed", "name": "often", "cron": "* * * * *"}
        next_firing = server.call("POST", "/schedules", written)["next_firing"]
        [task] = wait_for(lambda: firings(server), "the next minute", seconds=90)
        assert instant(task) == datetime.fromisoformat(next_firing)
        created_at = datetime.fromisoformat(task["created_at"])
        assert timedelta(0) <= created_at - instant(task) < timedelta(minutes=1)
        assert server.wait(task["id"])["state"] == "finished"
        assert server.log(task["id"]) == b"ran\n"
