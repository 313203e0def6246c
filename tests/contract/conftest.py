"""Every store there is, so that a contract test runs on each and does not ask which."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from silkmill.adapters.store.memory import MemoryStore
from silkmill.adapters.store.sqlite import SqliteStore
from silkmill.ports.store import Store
from silkmill.runtime import faults

STORES: dict[str, Callable[[Path], AbstractContextManager[Store]]] = {
    "memory": lambda folder: nullcontext(MemoryStore()),
    "sqlite": lambda folder: SqliteStore.open(folder / "silkmill.db"),
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    with STORES[request.param](tmp_path) as store:
        yield store


@pytest.fixture(autouse=True)
def _disarm_faults() -> Iterator[None]:
    yield
    faults.disarm()
