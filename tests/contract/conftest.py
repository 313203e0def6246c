"""A store of each kind, so that a contract test runs on each and does not ask which; a master over it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from stores_under_test import STORES

from silkmill.ports.store import Store
from silkmill.runtime import faults
from support.master_rig import Agent, Rig


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    with STORES[request.param](tmp_path) as store:
        yield store


@pytest.fixture(autouse=True)
def _disarm_faults() -> Iterator[None]:
    yield
    faults.disarm()


@pytest.fixture
async def rig(store: Store) -> Rig:
    """With a spider `default/news`."""
    rig = Rig(store)
    await rig.deploy_spider()
    return rig


@pytest.fixture
async def agent(rig: Rig) -> Agent:
    agent = Agent(rig)
    await agent.register()
    return agent
