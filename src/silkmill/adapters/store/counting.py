"""How many tasks there are, kept in the transaction that changes them: one write for all it changes."""

from __future__ import annotations

import sqlite3
from collections import Counter
from typing import Any

from silkmill.adapters.store import statements as sql

Place = tuple[str, str, str]
"""Project, spider and state, by which tasks are counted."""


class CountingCursor(sqlite3.Cursor):
    """`counts`: how many tasks more, or fewer, there are in each place since the transaction began."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self.counts: Counter[Place] = Counter()

    def move(self, before: Place, after: Place) -> None:
        """A task has another state."""
        self.counts[before] -= 1
        self.counts[after] += 1

    def write_counts(self) -> None:
        """The last thing before a commit."""
        changed = [(place, count) for place, count in self.counts.items() if count]
        self.executemany(sql.COUNT, [_named(place) | {"count": count} for place, count in changed])
        fewer = [_named(place, "if_") for place, count in changed if count < 0]
        self.executemany(sql.DELETE_NO_COUNT, fewer)  # spiders that are no more leave no rows


def _named(place: Place, prefix: str = "") -> dict[str, Any]:
    return {prefix + name: value for name, value in zip(("project", "spider", "state"), place, strict=True)}
