"""Brings the database file to the schema of this version before anything else uses it.

An empty file gets the tables at once; Alembic is loaded only for a file that an older version has written.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement

from silkmill.adapters.store.connection import connect, translated
from silkmill.adapters.store.tables import metadata
from silkmill.domain.errors import SilkmillError, Unavailable

HEAD = "0006"


class NewerSchema(SilkmillError):
    """The file was written by a newer version, which this one would damage."""

    def __init__(self, path: Path, revision: str) -> None:
        super().__init__(
            f"{path} has schema {revision}, but this version of Silkmill knows up to {HEAD}; "
            "use the newer version again, or another --data directory"
        )


def bring_to_head(path: Path) -> None:
    """All or nothing, also when the process dies in between. Raises Unavailable or NewerSchema."""
    try:
        with closing(connect(path)) as connection, translated():
            revision = _revision(connection)
            if revision is None:
                _create(connection)
    except Unavailable as away:
        raise Unavailable("store", f"{path}: {away.cause}") from away
    if revision is not None and revision > HEAD:
        raise NewerSchema(path, revision)
    if revision is not None and revision < HEAD:
        upgrade(path)


def upgrade(path: Path) -> None:
    """Run the migrations that the file lacks."""
    from silkmill.adapters.store.migrations import run

    run(path)


def _revision(connection: sqlite3.Connection) -> str | None:
    """None for a file without tables."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchall():
        return None
    [(revision,)] = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    return str(revision)


def _create(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    if _revision(connection) is None:  # another process may have been faster
        for table in metadata.sorted_tables:
            connection.execute(_text(CreateTable(table)))
            for index in sorted(table.indexes, key=lambda index: str(index.name)):
                connection.execute(_text(CreateIndex(index)))
        connection.execute("INSERT INTO pulse (id, beats) VALUES (1, 0)")
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
        connection.execute("INSERT INTO alembic_version VALUES (?)", (HEAD,))
    connection.execute("COMMIT")


def _text(element: ExecutableDDLElement) -> str:
    return str(element.compile(dialect=sqlite.dialect()))
