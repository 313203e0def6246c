"""The agent with the master it is made for: SQLite, a local bucket, the local link."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from worker_driver import WAIT_SECONDS, processes_of, start_time, wait_until

from silkmill.adapters.bucket import LocalBucket
from silkmill.adapters.clock import SystemClock
from silkmill.adapters.store.sqlite import SqliteStore
from silkmill.compose import Master, make_master
from silkmill.domain.attempt import AttemptRef
from silkmill.domain.states import State
from silkmill.domain.task import Task
from silkmill.domain.version import FileEntry
from silkmill.master import recovery
from silkmill.master.submission import Submission
from silkmill.runtime import faults
from silkmill.runtime.loop import every
from silkmill.worker.agent import Agent
from silkmill.worker.runner_process import read_runner_file
from silkmill.worker.settings import AgentSettings

SPIDER_TOML = f"""
name = "news"
command = ["{sys.executable}", "main.py", "{{lines}}"]
[params.lines]
type = "int"
default = 100
[limits]
grace = "1s"
[retry]
backoff = "1s"
"""
MAIN = b"""
import sys, time
for i in range(int(sys.argv[1])):
    print('{"type":"INSERT_DATA","payload":{"n":%d}}' % i)
    print("line", i, flush=True)
    time.sleep(0.001)
"""


class Machine:
    """One master over one data directory; agents come and go."""

    def __init__(self, data: Path, store: SqliteStore) -> None:
        self.data = data
        self.master: Master = make_master(store, LocalBucket(data / "bucket"), SystemClock())
        self.store = store

    @asynccontextmanager
    async def agent(self) -> AsyncIterator[Agent]:
        """An agent that is cut at the end, with the master's loops beside it."""
        agent = Agent(self.master.link, self.data, AgentSettings("node-a", embedded=True), SystemClock())
        async with asyncio.TaskGroup() as group:
            loops = [
                group.create_task(self.master.parts.dispatcher.run()),
                group.create_task(every(recovery.TICK_SECONDS, self.master.recovery.tick)),
                group.create_task(agent.run()),
            ]
            try:
                yield agent
            finally:
                agent.cut()
                await asyncio.wait_for(loops.pop(), WAIT_SECONDS)
                for loop in loops:
                    loop.cancel()

    async def deploy(self) -> None:
        files = []
        for name, content in (("spider.toml", SPIDER_TOML.encode()), ("main.py", MAIN)):
            sha256 = hashlib.sha256(content).hexdigest()
            await self.master.parts.uploads.put_blob(sha256, content)
            files.append(FileEntry(name, sha256, len(content)))
        await self.master.parts.deploy.create_version(None, files)

    async def submit(self, lines: int, **env: str) -> str:
        submission = Submission("default", "news", params={"lines": lines}, env=env)
        return (await self.master.parts.intake.submit(submission)).id

    async def task(self, task_id: str) -> Task:
        task = await self.store.task(task_id)
        assert task is not None
        return task

    async def reached(self, task_id: str, *states: State) -> Task:
        deadline = asyncio.get_running_loop().time() + WAIT_SECONDS
        while (task := await self.task(task_id)).state not in states:
            assert asyncio.get_running_loop().time() < deadline, f"not {states}: {task}"
            await asyncio.sleep(0.02)
        return task

    async def check_whole(self, task: Task, lines: int) -> None:
        last = task.history[-1]
        assert last.items_count == lines, task
        items = await self.store.items(AttemptRef(task.id, last.number), limit=lines + 10)
        assert [data for _, data in items] == [b'{"n":%d}' % n for n in range(lines)]


@pytest.fixture
async def machine(data: Path) -> AsyncIterator[Machine]:
    (data / "bucket").mkdir()
    with SqliteStore.open(data / "silkmill.db") as store:
        machine = Machine(data, store)
        await machine.deploy()
        yield machine


@pytest.fixture(autouse=True)
def _no_faults() -> Iterator[None]:
    yield
    faults.disarm()


async def test_tasks_finish_with_everything_stored(machine: Machine) -> None:
    async with machine.agent():
        ids = [await machine.submit(50) for _ in range(12)]
        for task_id in ids:
            task = await machine.reached(task_id, State.FINISHED)
            await machine.check_whole(task, 50)
    assert list((machine.data / "attempts").iterdir()) == []


async def test_lost_answers_cost_nothing(machine: Machine) -> None:
    faults.arm("link.answer=error@3*12")
    async with machine.agent():
        ids = [await machine.submit(100) for _ in range(3)]
        for task_id in ids:
            task = await machine.reached(task_id, State.FINISHED)
            await machine.check_whole(task, 100)
            assert len(task.history) == 1, "not one attempt more than was needed"
    assert faults.hits("link.answer") > 14


async def test_a_cut_agent_is_followed_by_one_that_adopts(machine: Machine) -> None:
    async with machine.agent():
        task_id = await machine.submit(3000)
        task = await machine.reached(task_id, State.RUNNING)
        await asyncio.sleep(0.3)
    assert task.attempt is not None and task.attempt.pid is not None
    started = start_time(task.attempt.pid)
    async with machine.agent() as agent:
        await wait_until(lambda: agent.held, "the adoption")
        adopted = await machine.reached(task_id, State.RUNNING)
        assert adopted.attempt is not None
        assert (adopted.attempt.number, adopted.attempt.pid) == (1, task.attempt.pid)
        assert start_time(task.attempt.pid) == started
        finished = await machine.reached(task_id, State.FINISHED)
        await machine.check_whole(finished, 3000)
        assert len(finished.history) == 1


async def test_a_killed_runner_costs_one_attempt(machine: Machine, marker: str) -> None:
    async with machine.agent():
        task_id = await machine.submit(3000, MARKER=marker)
        await machine.reached(task_id, State.RUNNING)
        kill_runners(machine.data)
        await machine.reached(task_id, State.CREATED, State.PENDING)
        assert processes_of(marker) == []
        task = await machine.reached(task_id, State.FINISHED)
        assert [closed.outcome for closed in task.history] == ["lost", "exit"]
        await machine.check_whole(task, 3000)


async def test_runner_and_agent_killed_costs_one_lost_worker(machine: Machine, marker: str) -> None:
    async with machine.agent():
        task_id = await machine.submit(3000, MARKER=marker)
        await machine.reached(task_id, State.RUNNING)
    kill_runners(machine.data)
    async with machine.agent():
        task = await machine.reached(task_id, State.FINISHED)
        assert [closed.outcome for closed in task.history] == ["lost", "exit"]
        assert task.lost_attempts == 1 and task.counted_attempts == 1
        await machine.check_whole(task, 3000)


async def test_a_cancel_ends_in_cancelled(machine: Machine, marker: str) -> None:
    async with machine.agent():
        task_id = await machine.submit(100_000, MARKER=marker)
        await machine.reached(task_id, State.RUNNING)
        await machine.master.parts.cancel.request(task_id, force=False)
        await machine.reached(task_id, State.CANCELLED)
        assert processes_of(marker) == []


def kill_runners(data: Path) -> None:
    for slot in data.glob("runners/*"):
        found = read_runner_file(slot)
        if found is not None:
            os.kill(found.pid, signal.SIGKILL)
