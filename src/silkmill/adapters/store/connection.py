"""Connections to one SQLite file, set up the way the store needs them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from silkmill.domain.errors import Unavailable

BUSY_SECONDS = 5.0
"""How long to wait for a lock that another process holds (a backup, a check) before it is Unavailable."""
WAL_PAGES = 1000
"""Pages of 4 KiB in the write-ahead log at which SQLite moves them into the database file."""
WAL_BYTES = 64 * 1024 * 1024
WRITER_CACHE_KIBIBYTES = 8 * 1024
READER_CACHE_KIBIBYTES = 2 * 1024

_FILE_CODES = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection in WAL mode whose commits are on disk when they return (`synchronous=FULL`).

    It may be closed by another thread than the one that uses it. Raises Unavailable."""
    with translated():
        connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            f"wal_autocheckpoint = {WAL_PAGES}",
            f"journal_size_limit = {WAL_BYTES}",
            f"cache_size = -{READER_CACHE_KIBIBYTES if read_only else WRITER_CACHE_KIBIBYTES}",
            f"query_only = {'ON' if read_only else 'OFF'}",
        ):
            connection.execute(f"PRAGMA {pragma}")
        return connection


@contextmanager
def translated() -> Iterator[None]:
    """What SQLite reports of its file becomes Unavailable; a wrong statement stays what it is, a defect."""
    try:
        yield
    except sqlite3.Error as error:
        if is_of_file(error):
            raise unavailable(error) from error
        raise


def is_of_file(error: BaseException) -> bool:
    """Whether the file is to blame: full, locked, read-only, unreadable, damaged."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _FILE_CODES


def unavailable(error: BaseException) -> Unavailable:
    return Unavailable("store", f"{error} ({getattr(error, 'sqlite_errorname', type(error).__name__)})")
