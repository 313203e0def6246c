"""Every test of this suite runs over both stores, with clocks that stand until the test moves them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from silkmill.adapters.store.memory import MemoryStore
from silkmill.adapters.store.sqlite import SqliteStore
from silkmill.ports.store import Store
from silkmill.runtime import faults
from support.master_rig import Agent, Rig


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
    else:
        with SqliteStore.open(tmp_path / "silkmill.db") as sqlite:
            yield sqlite


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    faults.disarm()


@pytest.fixture
async def rig(store: Store) -> Rig:
    rig = Rig(store)
    await rig.deploy_spider()
    return rig


@pytest.fixture
async def agent(rig: Rig) -> AsyncIterator[Agent]:
    agent = Agent(rig)
    await agent.register()
    yield agent
