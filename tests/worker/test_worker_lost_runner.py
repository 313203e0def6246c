"""kill -9 of one runner: its tree dies, its attempt is lost, the neighbours are not disturbed."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys

from worker_driver import WorkerDriver, ended, processes_of, start_time, stdout_of, system_lines, wait_until
from worker_master import FakeMaster, Stored

from silkmill.domain.attempt import AttemptRef
from silkmill.worker.runner_process import read_runner_file
from silkmill.worker.trees import end_tree

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


def test_without_a_nonce_only_the_name_of_the_attempt_counts() -> None:
    """The spec that tells the nonce may be gone; a spider may have emptied the variable of a child."""
    ours, stranger = (
        subprocess.Popen(["sleep", "600"], env={"SILKMILL_IPC_NONCE": "", "SILKMILL_TASK_ID": task} | rest)
        for task, rest in (("ours", {"SILKMILL_ATTEMPT": "1"}), ("another", {"SILKMILL_ATTEMPT": "1"}))
    )
    try:
        assert end_tree(AttemptRef("ours", 1), "", None) == []
        assert ours.wait() == -signal.SIGKILL
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
