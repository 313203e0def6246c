"""Items: from the spider's stdout until each can be read by task, attempt and ordinal."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

from bench import producer
from bench.comparison import Comparison
from bench.engine import BenchFailed, Engine, engine
from bench.rounds import Measure

TABLE = """
    CREATE TABLE items (task, attempt, ordinal, data, PRIMARY KEY (task, attempt, ordinal)) WITHOUT ROWID
"""


class Items:
    name = "items"
    comparisons = (
        Comparison(
            "stdout JSON → readable", "items/s", "silkmill", "json.loads + executemany", at_least=0.4, aim=0.8
        ),
    )

    def __init__(self, items: int = 200_000) -> None:
        self._items = items

    @contextmanager
    def measures(self, place: Path) -> Iterator[Sequence[Measure]]:
        program = [sys.executable, "-I", "-S", producer.__file__, "items", str(self._items)]
        with engine(place) as ours:
            ours.deploy("items", program)

            def silkmill() -> Mapping[str, float]:
                seconds, (task_id,) = ours.run("items")
                self._check_complete(ours, task_id)
                return {"silkmill": self._items / seconds}

            def script() -> Mapping[str, float]:
                return {
                    "json.loads + executemany": self._items / _insert_by_script(program, place / "items.db")
                }

            yield silkmill, script

    def _check_complete(self, ours: Engine, task_id: str) -> None:
        count = sum(piece.count(b"\n") for piece in ours.client.items(task_id))
        if count != self._items:
            raise BenchFailed(f"{count} items of {self._items} can be read")


def _insert_by_script(program: list[str], path: Path) -> float:
    start = time.perf_counter()
    with closing(sqlite3.connect(path)) as database:
        for pragma in ("journal_mode = WAL", "synchronous = FULL"):
            database.execute(f"PRAGMA {pragma}")
        database.execute(TABLE)
        producing = subprocess.Popen(program, stdout=subprocess.PIPE)
        assert producing.stdout is not None
        with database:
            database.executemany("INSERT INTO items VALUES ('task', 1, ?, ?)", _rows(producing.stdout))
        producing.wait()
    seconds = time.perf_counter() - start
    path.unlink()
    return seconds


def _rows(stdout: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    for ordinal, line in enumerate(stdout):
        if json.loads(line)["type"] == "INSERT_DATA":
            yield ordinal, line
