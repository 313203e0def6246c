"""The stores that every contract test runs on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from silkmill.adapters.store.memory import MemoryStore
from silkmill.adapters.store.sqlite import SqliteStore
from silkmill.ports.store import Store

# How to open an empty one in a folder of its own.
STORES: dict[str, Callable[[Path], AbstractContextManager[Store]]] = {
    "memory": lambda folder: nullcontext(MemoryStore()),
    "sqlite": lambda folder: SqliteStore.open(folder / "silkmill.db"),
}
