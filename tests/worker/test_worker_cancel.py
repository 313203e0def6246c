"""A cancel by what the agent holds: before the start, while the spider runs, after it has ended."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from worker_driver import WorkerDriver, ended, processes_of, system_lines, wait_until
from worker_master import FakeMaster, Stored

from silkmill.domain.spider import Limits
from silkmill.ports.link import CancelOrder
from silkmill.worker import ending, lost, runner
from silkmill.worker.trees import TreeEnd

STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen(["setsid", "sh", "-c", "(trap '' TERM; while :; do sleep 1; done) & exit"])
print("ready")
while True:
    time.sleep(1)
"""


async def test_a_cancel_in_the_answer_to_accept_starts_nothing(
    worker: WorkerDriver, master: FakeMaster
) -> None:
    stored = master.offer(["true"])
    master.cancel(stored)
    await ended(stored)
    assert stored.facts is not None
    assert stored.facts.cancelled and stored.facts.verified and not stored.facts.started
    assert system_lines(stored) == ["cancelled before the start"]
    assert not master.called("start")
    await wait_until(lambda: worker.attempts() == [], "the directory to be removed")


async def test_a_cancel_undoes_a_preparation_that_waits_for_a_blob(
    worker: WorkerDriver, master: FakeMaster
) -> None:
    stored = master.offer(["true"], files=[master.file("a.txt", b"content")])
    master.fail("blob", times=10_000)
    await wait_until(lambda: master.called("blob"), "the preparation to ask for the blob")
    master.cancel(stored)
    await ended(stored, seconds=3)
    assert stored.facts is not None and stored.facts.cancelled and not stored.facts.started
    await wait_until(lambda: not worker.agent.held, "the release")
    master.before["blob"].clear()
    after = await ended(master.offer(["true"]))
    assert after.facts is not None and after.facts.exit_code == 0, "the slot is free again"


async def test_a_cancel_ends_the_whole_tree(worker: WorkerDriver, master: FakeMaster, marker: str) -> None:
    stored = master.offer([sys.executable, "-u", "-c", STUBBORN], env={"MARKER": marker})
    await wait_until(lambda: b"ready" in stored.log, "the spider to run")
    await wait_until(lambda: len(processes_of(marker)) >= 2, "its child, whose environment shows after exec")
    master.cancel(stored)
    await ended(stored)
    assert processes_of(marker) == []
    assert stored.facts is not None
    assert stored.facts.cancelled and stored.facts.verified and stored.facts.signal == 9


async def test_force_overtakes_the_grace(worker: WorkerDriver, master: FakeMaster, marker: str) -> None:
    slow = Limits(grace_seconds=600.0)
    stored = master.offer([sys.executable, "-u", "-c", STUBBORN], env={"MARKER": marker}, limits=slow)
    await wait_until(lambda: b"ready" in stored.log, "the spider to run")
    master.cancel(stored)
    await wait_until(lambda: b"stopping the spider" in stored.log, "the first step")
    await asyncio.sleep(0.2)
    assert not stored.ended.is_set(), "the grace lasts"
    master.cancel(stored, force=True)
    await ended(stored)
    assert processes_of(marker) == []


def is_frozen(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] == b"T"


async def test_a_cancel_ends_the_spider_of_a_frozen_runner(
    worker: WorkerDriver, master: FakeMaster, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_DEAF_SECONDS", 0.5)
    freezing = "import os, signal, time\nos.kill(os.getppid(), signal.SIGSTOP)\ntime.sleep(600)"
    stored = master.offer([sys.executable, "-c", freezing], env={"MARKER": marker})
    await wait_until(lambda: [is_frozen(pid) for pid in worker.agent.runner_pids] == [True], "the freeze")
    master.cancel(stored)
    await ended(stored)
    assert processes_of(marker) == []
    assert stored.facts is not None and stored.facts.lost and stored.facts.verified
    again = (await ended(master.offer(["true"]))).facts
    assert again is not None and again.exit_code == 0, "the slot works again"


async def test_a_runner_that_answers_is_given_its_grace(
    worker: WorkerDriver, master: FakeMaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_DEAF_SECONDS", 0.2)
    stored = master.offer([sys.executable, "-u", "-c", STUBBORN], limits=Limits(grace_seconds=1.0))
    await wait_until(lambda: b"ready" in stored.log, "the spider to run")
    master.cancel(stored)
    await ended(stored)
    assert stored.facts is not None and stored.facts.cancelled and not stored.facts.lost


async def test_a_cancel_that_only_heartbeats_tell_is_heard(data: Path, master: FakeMaster) -> None:
    async with WorkerDriver(master, data) as worker:
        stored = master.offer(["sleep", "60"])
        await wait_until(lambda: stored.pid, "the spider to run")
        stored.cancel = _order(stored)
        await worker.agent._heartbeat()
        await ended(stored)
        assert stored.facts is not None and stored.facts.cancelled


async def test_a_cancel_in_the_answer_to_start_is_heard(worker: WorkerDriver, master: FakeMaster) -> None:
    stored = master.offer(["sleep", "60"])
    master.before["start"].append(lambda: setattr(stored, "cancel", _order(stored)))
    await ended(stored, seconds=3)  # sooner than the next heartbeat
    assert stored.facts is not None and stored.facts.cancelled and stored.facts.started


async def test_a_cancel_after_the_end_changes_nothing(worker: WorkerDriver, master: FakeMaster) -> None:
    stored = master.offer(["sh", "-c", "echo done; exit 3"])
    master.fail("append_log", times=4)
    await wait_until(lambda: master.slots_freed, "the spider to have ended")
    master.cancel(stored, force=True)
    await ended(stored)
    assert stored.facts is not None
    assert stored.facts.exit_code == 3 and not stored.facts.cancelled


async def test_a_cancel_is_finished_when_the_last_process_has_died(
    worker: WorkerDriver, master: FakeMaster, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runner dies during the cancel, and for a while one process of its tree cannot be killed."""
    stuck = TreeEnd(verified=False, survivors=(1,))
    survivors = [stuck, stuck, TreeEnd(verified=True)]
    monkeypatch.setattr(lost, "end_tree", lambda *_: survivors.pop(0))
    monkeypatch.setattr(ending, "is_alive", lambda pid: bool(survivors))
    monkeypatch.setattr(ending, "_LOOK_SECONDS", 0.05)
    slow = Limits(grace_seconds=600.0)
    stored = master.offer([sys.executable, "-u", "-c", STUBBORN], limits=slow, env={"MARKER": marker})
    await wait_until(lambda: b"ready" in stored.log, "the spider to run")
    master.cancel(stored)
    for pid in worker.agent.runner_pids:
        os.kill(pid, signal.SIGKILL)
    await ended(stored)
    assert stored.facts is not None
    assert stored.facts.lost and stored.facts.verified and stored.facts.survivors == ()
    assert len(master.called("finish")) >= 2 and len(master.registrations) == 2
    assert survivors == []


def _order(stored: Stored) -> CancelOrder:
    return CancelOrder(stored.order.ref)
