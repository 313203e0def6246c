"""A master in memory, and one registered agent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from silkmill.adapters.store.memory import MemoryStore
from silkmill.runtime import faults
from support.master_rig import Agent, Rig


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    faults.disarm()


@pytest.fixture
async def rig() -> Rig:
    rig = Rig(MemoryStore())
    await rig.deploy_spider()
    return rig


@pytest.fixture
async def agent(rig: Rig) -> Agent:
    agent = Agent(rig)
    await agent.register()
    return agent
