"""The life of an attempt when nothing goes wrong with the engine."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from worker_driver import WorkerDriver, ended, open_files, stdout_of, system_lines, wait_until
from worker_master import FakeMaster

from silkmill.domain.spider import Limits

PRINT_ENVIRONMENT = "import json, os; print(json.dumps(dict(os.environ)))"


async def test_a_spider_runs_in_a_copy_of_its_files(worker: WorkerDriver, master: FakeMaster) -> None:
    files = [
        master.file("main.py", b"import pkg.part as p, os; print(p.X, sorted(os.listdir()), os.getcwd())"),
        master.file("pkg/part.py", b"X = 42"),
        master.file("run.sh", b"#!/bin/sh\necho ran", 0o755),
    ]
    stored = await ended(master.offer(["python", "main.py"], files=files))
    assert stored.facts is not None
    assert stored.facts.exit_code == 0 and stored.facts.verified and stored.facts.started
    work = worker.data / "attempts" / str(stored.order.ref) / "work"
    assert stdout_of(stored).decode() == f"42 ['main.py', 'pkg', 'run.sh'] {work}\n"
    assert system_lines(stored) == ["exit code 0"]
    assert (await ended(master.offer(["./run.sh"], files=files))).facts.exit_code == 0  # type: ignore[union-attr]
    assert len(master.called("blob")) == 3, "the second attempt takes the files from the cache"


async def test_items_and_log_arrive_whole_and_once(worker: WorkerDriver, master: FakeMaster) -> None:
    script = """
import json
for i in range(5000):
    print(json.dumps({"type": "INSERT_DATA", "payload": {"n": i}}))
    print("line", i)
"""
    stored = await ended(master.offer([sys.executable, "-c", script]))
    assert [json.loads(item)["n"] for item in stored.items] == list(range(5000))
    assert stdout_of(stored).decode() == "".join(f"line {i}\n" for i in range(5000))
    assert stored.facts is not None
    assert (stored.facts.log_size, stored.facts.items_count) == (len(stored.log), 5000)


async def test_what_a_spider_sees(
    worker: WorkerDriver, master: FakeMaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SILKMILL_TOKEN", "a secret of ours")
    monkeypatch.setenv("ANYTHING", "else")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    stored = await ended(
        master.offer([sys.executable, "-c", PRINT_ENVIRONMENT], params={"day": "today"}, env={"MINE": "1"})
    )
    seen = json.loads(stdout_of(stored))
    ref = stored.order.ref
    nonce, parent, python_path = (
        seen.pop("SILKMILL_IPC_NONCE"),
        seen.pop("CRAWLAB_PARENT_PID"),
        seen.pop("PYTHONPATH"),
    )
    for name in ("HOME", "LANG", "TMPDIR", "LC_CTYPE"):
        seen.pop(name, None)
    assert seen == {
        "SILKMILL_TASK_ID": ref.task_id,
        "SILKMILL_ATTEMPT": "1",
        "SILKMILL_PROJECT": "default",
        "SILKMILL_SPIDER": "spider",
        "SILKMILL_VERSION": "v1",
        "SILKMILL_PARAMS": '{"day":"today"}',
        "SILKMILL_NODE": "node-a",
        "SILKMILL_SHARD_INDEX": "0",
        "SILKMILL_SHARD_TOTAL": "1",
        "CRAWLAB_TASK_ID": ref.task_id,
        "CRAWLAB_SPIDER_PARAM": '{"day":"today"}',
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8",
        "TZ": "Asia/Tokyo",
        "MINE": "1",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    assert len(nonce) >= 32
    assert int(parent) in worker.agent.runner_pids
    assert sorted(p.name for p in Path(python_path, "silkmill").iterdir()) == ["__init__.py", "sdk"]


async def test_the_sdk_is_there_and_nothing_else_of_ours(worker: WorkerDriver, master: FakeMaster) -> None:
    script = """
import silkmill.sdk, importlib.util
silkmill.sdk.save_item({"a": 1})
print(importlib.util.find_spec("silkmill.worker"))
"""
    stored = await ended(master.offer([sys.executable, "-S", "-c", script]))
    assert stored.items == [b'{"a":1}'] or json.loads(stored.items[0]) == {"a": 1}
    assert stdout_of(stored) == b"None\n"


async def test_large_parameters_come_in_a_file(worker: WorkerDriver, master: FakeMaster) -> None:
    script = "import json, os; print(len(json.load(open(os.environ['SILKMILL_PARAMS_FILE']))['list']))"
    stored = await ended(master.offer([sys.executable, "-c", script], params={"list": ["x" * 100] * 5000}))
    assert stdout_of(stored) == b"5000\n", system_lines(stored)


@pytest.mark.parametrize(
    ("argv", "kind"),
    [
        (["no-such-command-here"], "missing"),
        (["./plain.txt"], "not_executable"),
        (["./bad.sh"], "bad_interpreter"),
        (["/bin/echo", "x" * 3_000_000], "arguments_too_long"),
    ],
)
async def test_a_command_that_cannot_start_is_named(
    worker: WorkerDriver, master: FakeMaster, argv: list[str], kind: str
) -> None:
    files = [master.file("plain.txt", b"text"), master.file("bad.sh", b"#!/no/such/interpreter\n", 0o755)]
    stored = await ended(master.offer(argv, files=files))
    assert stored.facts is not None and stored.facts.spawn_error is not None
    assert stored.facts.spawn_error.kind == kind
    assert not master.called("start"), "what never started is not reported as started"
    assert system_lines(stored)[-1].startswith("not started: ")


async def test_limits_reach_the_runner(worker: WorkerDriver, master: FakeMaster) -> None:
    limits = Limits(runtime_seconds=0.3, grace_seconds=0.2)
    stored = await ended(master.offer(["sleep", "60"], limits=limits))
    assert stored.facts is not None and stored.facts.limit == "runtime"


async def test_the_start_is_reported_and_the_slot_is_freed_before_the_finish(
    worker: WorkerDriver, master: FakeMaster
) -> None:
    stored = await ended(master.offer(["true"]))
    names = [name for name, _ in master.calls]
    assert names.index("accept") < names.index("start") < names.index("finish")
    assert names.index("slot_free") < names.index("finish")
    assert "exit" not in names, "Finish follows at once"
    assert stored.pid == stored.facts.pid if stored.facts else False


async def test_a_slot_is_free_while_the_streams_are_still_on_the_way(data: Path, master: FakeMaster) -> None:
    async with WorkerDriver(master, data, max_runners=1):
        master.fail("append_log", times=6)
        first = master.offer([sys.executable, "-c", "print('x' * 3_000_000)"])
        await wait_until(lambda: master.slots_freed, "the slot to be free")
        assert first.facts is None
        second = await ended(master.offer(["true"]))
        assert second.facts is not None and second.facts.exit_code == 0
        await ended(first)
        assert len(stdout_of(first)) == 3_000_001
        assert master.called("exit") == [first.order.ref], "much was left when the process ended"


async def test_an_offer_without_a_free_slot_is_refused(data: Path, master: FakeMaster) -> None:
    async with WorkerDriver(master, data, max_runners=1) as worker:
        first = master.offer(["sleep", "60"])
        await wait_until(lambda: first.pid, "the first to run")
        second = master.offer(["true"])
        await wait_until(lambda: master.refused, "a refusal")
        assert master.refused == [(second.order.ref, "all 1 runners are busy")]
        assert len(worker.agent.held) == 1
        master.cancel(first, force=True)
        await ended(first)


async def test_directories_of_failed_attempts_are_kept_for_a_while(data: Path, master: FakeMaster) -> None:
    async with WorkerDriver(master, data, kept_seconds=3600.0) as worker:
        failed = await ended(master.offer(["false"]))
        await ended(master.offer(["true"]))
        await wait_until(lambda: len(worker.attempts()) == 1, "the finished one to be removed")
        (kept,) = worker.attempts()
        assert kept.name == str(failed.order.ref) and (kept / "kept").exists()
        os.utime(kept / "kept", (0, 0))
        await worker.agent._clean()
        assert worker.attempts() == []


async def test_many_tasks_leave_nothing_behind(worker: WorkerDriver, master: FakeMaster) -> None:
    for wave in range(25):
        tasks = [master.offer(["true"]) for _ in range(4)]
        for task in tasks:
            await ended(task)
        await wait_until(lambda: not worker.agent.held, "all to be released")
        if wave == 0:
            before = open_files(), len(worker.agent.runner_pids)
    assert (open_files(), len(worker.agent.runner_pids)) == before
    assert worker.attempts() == []
    unfinished = [path for path in worker.data.glob("cache/**/*.new") if "released" not in path.parts]
    waiting = {path.name for path in worker.data.glob("cache/released/**/*.new")}
    assert not unfinished and waiting <= {"spec.json.new", "outcome.json.new"}
    await worker.drain()
    assert sorted(p.name for p in worker.data.iterdir()) == [
        "attempts",
        "cache",
        "envs",
        "node",
        "runners",
        "sdk",
    ]
    assert not list(worker.data.glob("runners/*/runner.json")), "the runners have left"
    assert not worker.agent._place.sockets.exists()
    assert not worker.agent._place.cgroup_base or not Path(worker.agent._place.cgroup_base).exists()


async def test_a_data_directory_with_a_long_path_works(tmp_path: Path, master: FakeMaster) -> None:
    data = tmp_path / ("d" * 120) / ("e" * (200 - len(str(tmp_path)) % 100))
    data.mkdir(parents=True)
    assert len(str(data)) > 200
    async with WorkerDriver(master, data) as worker:
        stored = await ended(master.offer(["true"]))
        assert stored.facts is not None and stored.facts.exit_code == 0
        await worker.drain()


async def test_a_refusal_is_repeated_until_it_is_answered(data: Path, master: FakeMaster) -> None:
    async with WorkerDriver(master, data, max_runners=1):
        master.fail("refuse", 2)
        first, second = master.offer(["sleep", "100"]), master.offer(["true"])
        await wait_until(lambda: master.refused, "a refusal")
        assert master.refused == [(second.order.ref, "all 1 runners are busy")]
        master.cancel(first, force=True)
        await first.ended.wait()
