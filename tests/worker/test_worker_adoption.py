"""An agent is gone and another one starts on the same data directory."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
from worker_driver import (
    CLEAN_DAEMON,
    WorkerDriver,
    ended,
    processes_of,
    start_in_killed_agent,
    start_time,
    stdout_of,
    wait_until,
)
from worker_master import FakeMaster, Stored, known

from silkmill.domain.states import Phase
from silkmill.protocol.attemptdir import list_segments, read_spec, write_spec
from silkmill.worker.runner_process import read_runner_file
from silkmill.worker.runners import RunnerPool, Slot

CHATTY = """
import sys, time
for i in range(%d):
    print('{"type":"INSERT_DATA","payload":{"n":%%d}}' %% i)
    print("line", i)
    sys.stdout.flush()
    time.sleep(0.001)
"""


def chatty(lines: int) -> list[str]:
    return [sys.executable, "-c", CHATTY % lines]


def check_whole(stored: Stored, lines: int) -> None:
    assert [json.loads(item)["n"] for item in stored.items] == list(range(lines))
    assert stdout_of(stored).decode() == "".join(f"line {n}\n" for n in range(lines))


def kill_runners(data: Path) -> None:
    for slot in data.glob("runners/*"):
        found = read_runner_file(slot)
        if found is not None:
            os.kill(found.pid, signal.SIGKILL)


async def test_running_spiders_are_adopted_undisturbed(worker: WorkerDriver, master: FakeMaster) -> None:
    tasks = [master.offer(chatty(3000)) for _ in range(3)]
    await wait_until(lambda: all(len(task.items) > 100 for task in tasks), "all to run")
    before = [(task.pid, start_time(task.pid or 0)) for task in tasks]
    await worker.cut()
    await asyncio.sleep(0.3)
    async with WorkerDriver(master, worker.data):
        held = master.registrations[-1].held
        assert {each.ref for each in held} == {task.order.ref for task in tasks}
        assert {(each.phase, each.pid) for each in held} == {(Phase.EXECUTING, pid) for pid, _ in before}
        assert [(task.pid, start_time(task.pid or 0)) for task in tasks] == before
        for task in tasks:
            await ended(task)
            check_whole(task, 3000)
        assert len(master.called("start")) == 3, "the adopted are not reported as started again"


async def test_a_spider_that_ended_meanwhile_ends_as_it_did(worker: WorkerDriver, master: FakeMaster) -> None:
    master.fail("append_items", times=10_000)
    stored = master.offer([*chatty(500)])
    await wait_until(lambda: stored.pid and stored.log, "it to run")
    await worker.cut()
    outcome = worker.data / "attempts" / str(stored.order.ref) / "outcome.json"
    await wait_until(outcome.exists, "it to end without an agent")
    master.before.clear()
    async with WorkerDriver(master, worker.data):
        await ended(stored)
        assert stored.facts is not None and stored.facts.exit_code == 0 and not stored.facts.lost_with_worker
        check_whole(stored, 500)


async def test_agent_and_runner_died_the_tree_is_killed_and_the_rest_is_shipped(
    worker: WorkerDriver, master: FakeMaster, marker: str
) -> None:
    stored = master.offer(chatty(100_000), env={"MARKER": marker})
    await wait_until(lambda: len(stored.items) > 100, "it to run")
    master.fail("append_items", times=10_000)
    master.fail("append_log", times=10_000)
    await asyncio.sleep(0.3)
    await worker.cut()
    kill_runners(worker.data)
    directory = worker.data / "attempts" / str(stored.order.ref)
    tear(directory)
    master.before.clear()
    have = len(stored.items)
    async with WorkerDriver(master, worker.data):
        await ended(stored)
    assert processes_of(marker) == []
    facts = stored.facts
    assert facts is not None and facts.lost_with_worker and not facts.lost
    assert facts.verified == bool(worker.agent._place.cgroup_base), "without cgroups nobody knows"
    assert len(stored.items) > have, "what was on the disk has been shipped"
    assert [json.loads(item)["n"] for item in stored.items] == list(range(len(stored.items)))
    assert facts.items_count == len(stored.items) and facts.log_size == len(stored.log)
    assert b"lost: its worker died" in stored.log.splitlines()[-1]
    for line in bytes(stored.log).splitlines():
        assert line.split(b" ")[1] in (b"stdout", b"stderr", b"system"), line


def tear(directory: Path) -> None:
    """As if the runner had died in the middle of a write to each stream."""
    with open(list_segments(str(directory), "log")[-1].path, "ab") as log:
        log.write(b"2026-01-01T00:00:00.000000000Z stdo")
    with open(list_segments(str(directory), "items")[-1].path, "ab") as items:
        items.write(b'{"n": 1')


async def test_after_another_boot_nothing_is_shipped(worker: WorkerDriver, master: FakeMaster) -> None:
    stored = master.offer(chatty(100_000))
    await wait_until(lambda: len(stored.items) > 100, "it to run")
    await worker.cut()
    kill_runners(worker.data)
    directory = str(worker.data / "attempts" / str(stored.order.ref))
    write_spec(directory, {**read_spec(directory), "boot_id": "another"})
    have = (len(stored.log), len(stored.items))
    async with WorkerDriver(master, worker.data):
        await ended(stored)
    assert stored.facts is not None and stored.facts.lost_with_worker and stored.facts.verified
    assert not stored.facts.log_closed, "the record tells how it ended"
    assert (stored.facts.log_size, stored.facts.items_count) == have == (len(stored.log), len(stored.items))


async def test_an_attempt_that_was_prepared_is_started(worker: WorkerDriver, master: FakeMaster) -> None:
    stored = await ended(master.offer(["false"]))
    await wait_until(lambda: not worker.agent.held, "the release")
    (directory,) = worker.attempts()
    for name in ("kept", "outcome.json", "log.0"):
        (directory / name).unlink()
    await worker.cut()
    stored.ended.clear()
    stored.facts, stored.phase, stored.log = None, Phase.PREPARING, bytearray()
    async with WorkerDriver(master, worker.data):
        assert [each.phase for each in master.registrations[-1].held] == [Phase.PREPARING]
        await ended(stored)
        assert stored.facts is not None and stored.facts.exit_code == 1


async def test_an_unfinished_preparation_is_removed(data: Path, master: FakeMaster) -> None:
    (data / "attempts" / "some-task.1" / "work").mkdir(parents=True)
    async with WorkerDriver(master, data) as worker:
        assert master.registrations[-1].held == ()
        assert worker.attempts() == []


async def test_what_the_master_does_not_want_is_killed_and_kept(
    worker: WorkerDriver, master: FakeMaster, marker: str
) -> None:
    alive, dead = (master.offer(chatty(100_000), env={"MARKER": marker}) for _ in range(2))
    await wait_until(lambda: alive.items and dead.items, "both to run")
    await worker.cut()
    for slot in worker.data.glob("runners/*"):
        found = read_runner_file(slot)
        if found and found.attempt and found.attempt.endswith(str(dead.order.ref)):
            os.kill(found.pid, signal.SIGKILL)
    master.close(alive)
    master.close(dead)
    async with WorkerDriver(master, worker.data) as second:
        assert len(master.registrations[-1].held) == 2
        await wait_until(lambda: not second.agent.held, "both to be killed")
        assert processes_of(marker) == []
        assert all((directory / "kept").exists() for directory in second.attempts())
        assert not master.called("finish")
        again = await ended(master.offer(["true"]))
        assert again.facts is not None and again.facts.exit_code == 0


async def test_an_agent_killed_with_kill_9_leaves_its_spiders_to_the_next(
    data: Path, master: FakeMaster
) -> None:
    """The first agent is a process of its own; its master is lost with it, as in `up`."""
    task_id, pid = await start_in_killed_agent(data, chatty(2000), {})
    started = start_time(pid)
    stored = known(master, task_id)
    async with WorkerDriver(master, data):
        (held,) = master.registrations[-1].held
        assert (held.pid, start_time(pid)) == (pid, started)
        await ended(stored)
        check_whole(stored, 2000)


@pytest.mark.cgroup
@pytest.mark.parametrize("agent_dies_too", [False, True])
async def test_a_cgroup_holds_what_nothing_else_would_find(
    data: Path, master: FakeMaster, marker: str, agent_dies_too: bool
) -> None:
    async with WorkerDriver(master, data) as worker:
        if not worker.agent._place.cgroup_base:
            pytest.skip("this host lets us make no cgroup")
        stored = master.offer([sys.executable, "-c", CLEAN_DAEMON], env={"MARKER": marker})
        await wait_until(lambda: b"ready" in stored.log, "it to run")
        assert len(processes_of(marker)) == 2
        if agent_dies_too:
            await worker.cut()
        kill_runners(data)
        if not agent_dies_too:
            await ended(stored)
    if agent_dies_too:
        async with WorkerDriver(master, data):
            await ended(stored)
    assert stored.facts is not None and stored.facts.lost_with_worker == agent_dies_too
    assert stored.facts.verified
    assert processes_of(marker) == []


async def test_runners_are_in_sessions_of_their_own(worker: WorkerDriver, master: FakeMaster) -> None:
    """What a terminal or a supervisor sends to the agent's session or group does not reach them."""
    await ended(master.offer(["true"]))
    await wait_until(lambda: not worker.agent.held, "an idle runner")
    assert [os.getsid(pid) for pid in worker.agent.runner_pids] == worker.agent.runner_pids


@pytest.mark.parametrize("how", ["directory gone", "spec spoilt"])
async def test_a_runner_whose_attempt_nobody_knows_is_stopped_and_its_slot_used(
    worker: WorkerDriver, master: FakeMaster, marker: str, how: str
) -> None:
    stored = master.offer(["sleep", "600"], env={"MARKER": marker})
    await wait_until(lambda: stored.pid, "it to run")
    await worker.cut()
    directory = worker.data / "attempts" / str(stored.order.ref)
    if how == "directory gone":
        shutil.rmtree(directory)
    else:
        (directory / "spec.json").write_text("{")
    async with WorkerDriver(master, worker.data, max_runners=1):
        await wait_until(lambda: not processes_of(marker), "the stranger to be gone")
        facts = (await ended(master.offer(["true"]))).facts
        assert facts is not None and facts.exit_code == 0


async def test_the_slot_of_a_runner_that_dies_during_the_adoption_is_used(
    worker: WorkerDriver, master: FakeMaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = master.offer(["sleep", "600"])
    await wait_until(lambda: stored.pid, "it to run")
    await worker.cut()

    async def adopt(pool: RunnerPool, boot_id: str) -> dict[str, tuple[Slot, str]]:
        working = await find(pool, boot_id)
        kill_runners(worker.data)
        for slot, _ in working.values():
            assert slot.current is not None
            await slot.current.gone.wait()
        return working

    find = RunnerPool.adopt
    monkeypatch.setattr(RunnerPool, "adopt", adopt)
    async with WorkerDriver(master, worker.data, max_runners=1):
        await ended(stored)
        assert stored.facts is not None and stored.facts.lost_with_worker
        facts = (await ended(master.offer(["true"]))).facts
        assert facts is not None and facts.exit_code == 0
