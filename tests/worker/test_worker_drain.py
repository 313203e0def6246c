"""The two ends: a drain lets attempts end, a cut leaves them to the next agent."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from worker_driver import WAIT_SECONDS, WorkerDriver, ended, open_files, processes_of, wait_until
from worker_master import FakeMaster

from silkmill.worker.runner_process import read_runner_file


async def test_a_drain_takes_no_offers_and_waits_for_what_runs(data: Path, master: FakeMaster) -> None:
    async with WorkerDriver(master, data) as worker:
        running = master.offer(["sleep", "1"])
        await wait_until(lambda: running.pid, "it to run")
        worker.agent.drain()
        late = master.offer(["true"])
        await wait_until(lambda: master.refused, "the refusal")
        assert master.refused == [(late.order.ref, "the worker is draining")]
        await asyncio.wait_for(worker.task, WAIT_SECONDS)
        assert running.facts is not None and running.facts.exit_code == 0
        assert not list(data.glob("runners/*/runner.json")), "the runners have left"


async def test_a_drain_that_takes_too_long_gives_back(data: Path, master: FakeMaster, marker: str) -> None:
    async with WorkerDriver(master, data, drain_seconds=0.3) as worker:
        running = master.offer(["sleep", "600"], env={"MARKER": marker})
        await wait_until(lambda: running.pid, "it to run")
        waiting = master.offer(["true"], files=[master.file("a", b"a")])
        master.fail("blob", times=10_000)
        await wait_until(lambda: master.called("blob"), "the other to be prepared")
        await worker.drain()
        assert running.given_back == waiting.given_back == "the worker was drained"
        assert processes_of(marker) == []
        assert worker.attempts() == []


async def test_a_cut_leaves_at_once_and_touches_nothing(data: Path, master: FakeMaster, marker: str) -> None:
    descriptors = open_files()
    async with WorkerDriver(master, data) as worker:
        running = master.offer(["sleep", "600"], env={"MARKER": marker})
        await wait_until(lambda: running.pid, "it to run")
        (runner,) = worker.agent.runner_pids
        loop = asyncio.get_running_loop()
        before = loop.time()
        await worker.cut()
        assert loop.time() - before < 1.0
        assert processes_of(marker) == [running.pid]
        assert [read_runner_file(slot).pid for slot in data.glob("runners/*")] == [runner]  # type: ignore[union-attr]
        assert not running.ended.is_set()
        assert open_files() == descriptors


async def test_a_cut_while_the_master_is_away(data: Path, master: FakeMaster) -> None:
    async with WorkerDriver(master, data) as worker:
        stored = master.offer(["true"])
        master.fail("finish", times=10_000)
        await wait_until(lambda: master.called("finish"), "the end")
        worker.agent.drain()
        await asyncio.sleep(0.2)
        assert not worker.task.done(), "a drain waits for the answer"
        await worker.cut()
    master.before.clear()
    async with WorkerDriver(master, data):
        await ended(stored)


async def test_the_node_keeps_its_id(data: Path, master: FakeMaster) -> None:
    for _ in range(2):
        async with WorkerDriver(master, data):
            pass
    first, second = master.registrations
    assert first.node == second.node == (data / "node").read_text().strip()


async def test_a_socket_folder_of_somebody_else_is_refused(
    data: Path, master: FakeMaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from silkmill.worker.sockets import UnsafeFolder, digest_of, socket_folder

    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / f"silkmill-{digest_of(data)}").mkdir(mode=0o777)
    (tmp_path / f"silkmill-{digest_of(data)}").chmod(0o777)
    with pytest.raises(UnsafeFolder, match="mode 0700"):
        socket_folder(data)
