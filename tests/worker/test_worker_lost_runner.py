"""kill -9 of one runner: its tree dies, its attempt is lost, the neighbours are not disturbed."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
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
    system_lines,
    wait_until,
)
from worker_master import FakeMaster, Stored, known

from silkmill.domain.attempt import AttemptRef
from silkmill.protocol import cgroup
from silkmill.worker import trees
from silkmill.worker.children import orphans
from silkmill.worker.runner_process import read_runner_file
from silkmill.worker.trees import Remains, TreeEnd, end_tree

# A spider that leaves a daemon in another session, whose own environment is clean.
DAEMON = """
import os, subprocess, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        subprocess.Popen(["env", "-i", "MARKER=" + os.environ["MARKER"], "sleep", "600"])
        while True:
            time.sleep(1)
    os._exit(0)
for i in range(10**9):
    print('{"type":"INSERT_DATA","payload":{"n":%d}}' % i)
    print("line", i)
    sys.stdout.flush()
    time.sleep(0.0005)
"""


def runner_of(worker: WorkerDriver, stored: Stored) -> int:
    for slot in worker.data.glob("runners/*"):
        found = read_runner_file(slot)
        if found is not None and found.attempt and found.attempt.endswith(str(stored.order.ref)):
            return found.pid
    raise AssertionError("no runner has the attempt")


async def test_the_tree_of_a_killed_runner_dies_and_its_neighbour_lives(
    worker: WorkerDriver, master: FakeMaster, marker: str
) -> None:
    neighbour = master.offer(["sleep", "600"])
    victim = master.offer([sys.executable, "-c", DAEMON], env={"MARKER": marker})
    await wait_until(lambda: len(victim.items) > 200 and neighbour.pid, "both to run")
    assert neighbour.pid is not None
    neighbour_started = start_time(neighbour.pid)
    assert len(processes_of(marker)) == 3
    os.kill(runner_of(worker, victim), signal.SIGKILL)
    await ended(victim)
    assert processes_of(marker) == []
    facts = victim.facts
    assert facts is not None
    assert facts.lost and not facts.lost_with_worker and facts.verified and facts.pid == victim.pid
    assert facts.items_count == len(victim.items) and facts.log_size == len(victim.log)
    assert [json.loads(item)["n"] for item in victim.items] == list(range(len(victim.items)))
    lines = stdout_of(victim).decode().splitlines()
    assert lines[:-1] == [f"line {n}" for n in range(len(lines) - 1)], "only the last line may be torn"
    assert system_lines(victim)[-1] == "lost: its runner died; its processes were killed"
    assert start_time(neighbour.pid) == neighbour_started
    again = await ended(master.offer(["true"]))
    assert again.facts is not None and again.facts.exit_code == 0, "the slot works again"
    master.cancel(neighbour, force=True)
    await ended(neighbour)


async def test_an_idle_runner_that_was_killed_is_replaced(worker: WorkerDriver, master: FakeMaster) -> None:
    await ended(master.offer(["true"]))
    await wait_until(lambda: not worker.agent.held, "an idle runner")
    (pid,) = worker.agent.runner_pids
    os.kill(pid, signal.SIGKILL)
    stored = await ended(master.offer(["true"]))  # perhaps before its death was noticed
    assert stored.facts is not None and stored.facts.exit_code == 0
    assert worker.agent.runner_pids != [pid]


async def test_an_outcome_that_was_written_counts_although_the_runner_died(
    worker: WorkerDriver, master: FakeMaster
) -> None:
    stored = master.offer(["sh", "-c", "exit 3"])
    master.fail("start", times=5)
    await wait_until(lambda: master.slots_freed, "the end of the spider")
    for pid in worker.agent.runner_pids:
        os.kill(pid, signal.SIGKILL)
    await ended(stored)
    assert stored.facts is not None and stored.facts.exit_code == 3 and not stored.facts.lost


async def test_a_runner_that_retires_hands_over_unnoticed(worker: WorkerDriver, master: FakeMaster) -> None:
    seen = set()
    for _ in range(20):  # the offer meets the leaving runner at many moments
        stored = await ended(master.offer(["true"]))
        assert stored.facts is not None and stored.facts.exit_code == 0, stored.facts
        await wait_until(lambda: not worker.agent.held, "an idle runner")
        seen.update(worker.agent.runner_pids)
        for slot in worker.agent._place.pool._idle:
            if slot.current is not None:
                slot.current.retire()
        await asyncio.sleep(random.uniform(0, 0.003))
    assert len(seen) >= 19


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process that the agent's process has started for a purpose of its own."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


async def test_nothing_hides_from_the_agent_whose_runner_died(
    worker: WorkerDriver, master: FakeMaster, marker: str, child: subprocess.Popen[bytes]
) -> None:
    """Neither with a cgroup nor without: orphans of its runner come to the agent."""
    before = dead_children()
    neighbour = master.offer(["sleep", "600"])
    victim = master.offer([sys.executable, "-c", CLEAN_DAEMON], env={"MARKER": marker})
    await wait_until(lambda: b"ready" in victim.log and neighbour.pid, "both to run")
    await wait_until(lambda: len(processes_of(marker)) == 2, "the daemon")
    os.kill(runner_of(worker, victim), signal.SIGKILL)
    again = [master.offer(["true"]) for _ in range(2)]  # runners are started meanwhile
    await ended(victim)
    assert processes_of(marker) == []
    assert victim.facts is not None and victim.facts.lost and victim.facts.verified
    for stored in again:
        await ended(stored)
        assert stored.facts is not None and stored.facts.exit_code == 0
    assert child.poll() is None, "what else the agent has started is no orphan"
    assert neighbour.pid is not None and not neighbour.ended.is_set()
    assert orphans() == {}
    assert dead_children() <= before, "the orphans were waited for"
    master.cancel(neighbour, force=True)
    await ended(neighbour)


def dead_children() -> set[str]:
    """Those of this process that nobody has waited for."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,stat="], capture_output=True, text=True, check=True)
    rows = [row.split() for row in listed.stdout.splitlines()]
    return {pid for pid, parent, state in rows if int(parent) == os.getpid() and state.startswith("Z")}


@pytest.mark.parametrize("agent_dies_too", [False, True])
async def test_without_a_cgroup_a_tree_out_of_sight_is_not_called_dead(
    data: Path, master: FakeMaster, marker: str, agent_dies_too: bool
) -> None:
    """The runner is no child of the agent that sees it dead, so nobody knows where its orphans went."""
    daemon = [sys.executable, "-c", CLEAN_DAEMON]
    task_id, _ = await start_in_killed_agent(data, daemon, {"MARKER": marker}, "walk")
    stored = known(master, task_id)
    if agent_dies_too:
        os.kill(the_runner(data), signal.SIGKILL)
    async with WorkerDriver(master, data, containment="walk") as worker:
        if not agent_dies_too:
            os.kill(the_runner(data), signal.SIGKILL)
        await ended(stored)
        await wait_until(lambda: not worker.agent.held, "the release: there is nothing to wait for")
    assert stored.facts is not None
    assert (stored.facts.lost, stored.facts.lost_with_worker) == (not agent_dies_too, agent_dies_too)
    assert not stored.facts.verified and stored.facts.survivors == ()
    assert system_lines(stored)[-1].endswith("those of its processes that could be found were killed")
    assert len(processes_of(marker)) == 1, "the daemon, of whom we know that it is there"


def the_runner(data: Path) -> int:
    (found,) = (found for slot in data.glob("runners/*") if (found := read_runner_file(slot)))
    return found.pid


def test_a_group_that_cannot_be_removed_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is seen in it, and yet the kernel keeps it."""
    monkeypatch.setattr(trees, "_PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(cgroup, "remove_group", lambda group: False)
    remains = Remains("/no/such/group", complete=True)
    assert end_tree(AttemptRef("ours", 1), "", remains) == TreeEnd(verified=False)


def test_without_a_nonce_only_the_name_of_the_attempt_counts() -> None:
    """The spec that tells the nonce may be gone; a spider may have emptied the variable of a child."""
    ours, stranger = (
        subprocess.Popen(["sleep", "600"], env={"SILKMILL_IPC_NONCE": "", "SILKMILL_TASK_ID": task} | rest)
        for task, rest in (("ours", {"SILKMILL_ATTEMPT": "1"}), ("another", {"SILKMILL_ATTEMPT": "1"}))
    )
    try:
        assert end_tree(AttemptRef("ours", 1), "", Remains(None, complete=False)) == TreeEnd(verified=False)
        assert ours.wait() == -signal.SIGKILL
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
