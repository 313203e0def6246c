"""Who writes the closing line of a lost attempt: its node, or, where that is gone, the record."""

from __future__ import annotations

import pytest

from silkmill.domain.attempt import AttemptRef
from silkmill.domain.states import Phase
from silkmill.master.logs.closing import closing_page
from support.master_rig import Agent, Rig


async def closing(rig: Rig, ref: AttemptRef) -> bytes | None:
    page = closing_page(await rig.task(ref.task_id), ref.number)
    return page and page.data.split(b" ", 3)[3]


async def test_a_node_that_never_comes_back(rig: Rig, agent: Agent) -> None:
    ref = await agent.running()
    other = Agent(rig, node="node-1", boot_id="boot-2")
    await other.register()
    assert await closing(rig, ref) == b"lost: node node-1 came back without it\n"


async def test_a_task_that_is_poison(rig: Rig, agent: Agent) -> None:
    await rig.submit()
    for boot in "abc":
        ref = await agent.started()
        agent.boot_id = boot
        await agent.register()
    assert await closing(rig, ref) == b"lost: poison: 3 workers were lost with it\n"


@pytest.mark.parametrize("lost", ["lost", "lost_with_worker"])
async def test_a_node_that_finishes_it_has_written_it(rig: Rig, agent: Agent, lost: str) -> None:
    ref = await agent.running()
    await agent.register(agent.held(ref, Phase.COMPLETING))
    await agent.finish(ref, exit_code=None, **{lost: True})
    assert (await rig.task(ref.task_id)).history[0].outcome == "lost"
    assert await closing(rig, ref) is None


async def test_no_other_end_has_one(rig: Rig, agent: Agent) -> None:
    ref = await agent.running()
    assert await closing(rig, ref) is None
    await agent.finish(ref, exit_code=1)
    assert await closing(rig, ref) is None


async def test_a_node_of_another_boot_could_not_write_it(rig: Rig, agent: Agent) -> None:
    ref = await agent.running()
    await agent.register(agent.held(ref, Phase.COMPLETING))
    await agent.finish(ref, exit_code=None, lost_with_worker=True, log_closed=False)
    assert await closing(rig, ref) == b"lost: its worker died\n"
