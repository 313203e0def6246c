"""The way of a task through the master, from submit to its final state."""

from __future__ import annotations

from silkmill.adapters.store.memory import MemoryStore
from silkmill.domain.states import State
from support.master_rig import Agent, Rig


async def test_a_task_goes_from_submit_to_finished() -> None:
    rig = Rig(MemoryStore())
    await rig.deploy_spider()
    agent = Agent(rig)
    await agent.register()
    task = await rig.submit()
    assert task.state is State.PENDING

    ref = await agent.started()
    assert (await rig.task(task.id)).state is State.RUNNING
    assert await agent.log(ref, b"a line\n") == 7
    assert await agent.items(ref, [b'{"a":1}', b"{}"]) == 11
    await agent.finish(ref, log_size=7, items_size=11, items_count=2)

    ended = await rig.task(task.id)
    assert ended.state is State.FINISHED
    assert ended.history[0].accepted
    assert ended.history[0].items_count == 2
