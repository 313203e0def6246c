"""Every test of this suite runs over every link; `LINKS` makes one out of the parts of a master."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from silkmill.adapters.local_link import LocalLink
from silkmill.adapters.store.memory import MemoryStore
from silkmill.ports.link import MasterLink
from support.master_rig import Rig

LINKS: dict[str, Callable[[Rig], MasterLink]] = {
    "local": lambda rig: LocalLink(rig.workers, rig.collector, rig.uploads),
}


@pytest.fixture(params=LINKS)
async def rig(request: pytest.FixtureRequest) -> Rig:
    rig = Rig(MemoryStore())
    rig.link = LINKS[request.param](rig)
    await rig.deploy_spider()
    return rig
