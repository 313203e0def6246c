"""Every test of this suite runs over every link; `LINKS` makes one out of the parts of a master."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from silkmill.adapters.local_link import LocalLink
from silkmill.adapters.store.memory import MemoryStore
from silkmill.ports.link import MasterLink
from silkmill.runtime import faults
from support.master_rig import Agent, Rig

LINKS: dict[str, Callable[[Rig], MasterLink]] = {
    "local": lambda rig: LocalLink(rig.workers, rig.collector, rig.deploy),
}


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    faults.disarm()


@pytest.fixture(params=LINKS)
async def rig(request: pytest.FixtureRequest) -> Rig:
    rig = Rig(MemoryStore())
    rig.link = LINKS[request.param](rig)
    await rig.deploy_spider()
    return rig


@pytest.fixture
async def agent(rig: Rig) -> Agent:
    agent = Agent(rig)
    await agent.register()
    return agent
