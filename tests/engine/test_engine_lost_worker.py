"""Engine, runners and spiders die together, as in a power cut or a stop of the whole machine, and `up` starts
again; and a drain that lasts too long. One new attempt runs, what was stored stays, nothing lives on."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.engine.server import Server, spider_folder, wait_for
from tests.faults.checker import Evidence
from tests.faults.machine import missing_for
from tests.faults.staging import WALK, growing
from tests.support.marked import marked

COUNTS = """
import os, subprocess, time
first = os.environ["SILKMILL_ATTEMPT"] == "1"
if first:
    loop = "while :; do echo x >> $0; sleep 0.05; done"
    subprocess.Popen(["sh", "-c", 'setsid sh -c "$1" "$2" &', "sh", loop, os.environ["GROWS"]])
for number in range(10 ** 9 if first else 300):
    os.write(1, b'{"type":"INSERT_DATA","payload":{"n":%d}}\\nline %d\\n' % (number, number))
    if first: time.sleep(0.002)
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("began", flush=True)
while True: time.sleep(0.05)
"""


@pytest.fixture(params=[{}, WALK], ids=["cgroup", "walk"])
def env(request: pytest.FixtureRequest) -> dict[str, str]:
    """Settings of the engine: the same with a cgroup and without."""
    if not request.param and (missing := missing_for(("cgroup",))):
        pytest.skip(f"NOT RUN: needs {missing}")
    return dict(request.param)


@contextmanager
def counting(tmp_path: Path, **env: str) -> Iterator[tuple[Server, str, Path]]:
    """An engine with one running spider, of which something is stored, and the file its daemon writes to."""
    grows = tmp_path / "grows"
    with Server(tmp_path / "data", max_runners=1, env=env) as server:
        server.deploy(spider_folder(tmp_path, "counts", COUNTS))
        task_id = server.submit("counts", env={"GROWS": str(grows)})
        wait_for(lambda: server.task(task_id)["items"] > 100 and grows.exists(), "items and the daemon")
        yield server, task_id, grows


def kill_engine_and_runners(server: Server) -> None:
    """Spiders and daemons are left, so that the next engine has something to end."""
    server.kill()
    for facts in server.runners().values():
        os.kill(facts["pid"], signal.SIGKILL)
    wait_for(lambda: not server.runners(), "the runners to be gone")


def attempt_directory(server: Server, task_id: str) -> Path:
    return server.data / "attempts" / f"{task_id}.1"


def printed(directory: Path) -> list[bytes]:
    """The whole items in the segments of an attempt that has not ended."""
    segments = sorted(directory.glob("items.*"), key=lambda path: int(path.suffix[1:]))
    whole = b"".join(path.read_bytes() for path in segments).rpartition(b"\n")[0]
    return whole.split(b"\n")


def outcomes(task: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [(attempt["outcome"], attempt["error_class"]) for attempt in task["attempts"]]


def numbered(count: int) -> list[bytes]:
    return [b'{"n":%d}' % number for number in range(count)]


def test_what_a_lost_worker_had_written_is_kept_and_one_attempt_replaces_it(
    tmp_path: Path, env: dict[str, str]
) -> None:
    with counting(tmp_path, **env) as (server, task_id, grows):
        kill_engine_and_runners(server)
        written = printed(attempt_directory(server, task_id))
        assert marked(f"GROWS={grows}\0"), "the daemon was to be left for the next engine"
        server.start()
        task = server.wait(task_id, "finished")
        assert outcomes(task) == [("lost", "system"), ("exit", None)]
        evidence = Evidence(server.data)
        stored = evidence.task(task_id)
        assert evidence.items(stored, 1) == written == numbered(len(written))
        assert evidence.items(stored, 2) == numbered(300)
        assert server.items(task_id) == [json.loads(item) for item in numbered(300)], "the accepted attempt's"
        assert evidence.stream(stored, "system", 1).startswith(b"lost: its worker died")
        assert not marked(f"GROWS={grows}\0") and not growing([grows])


def test_after_another_boot_nothing_of_the_files_counts(tmp_path: Path) -> None:
    """The machine failed, and its disk may have kept anything: stored is what was acknowledged."""
    with counting(tmp_path) as (server, task_id, _):
        server.kill()
        known = Evidence(server.data).task(task_id)
        directory = attempt_directory(server, task_id)
        server.kill_runners()
        wait_for(lambda: not marked(task_id), "all of it to be dead")
        assert len(printed(directory)) > known.items_count, "nothing was left that could be shipped"
        other_boot(directory / "spec.json")
        other_boot(server.data / "runners" / "0" / "runner.json")
        server.start()
        task = server.wait(task_id, "finished")
        assert outcomes(task) == [("lost", "system"), ("exit", None)]
        lost = Evidence(server.data).task(task_id).history[0]
        assert (lost["items_count"], lost["log_offset"]) == (known.items_count, known.log_offset)
        frames = server.call("GET", f"/tasks/{task_id}/log?attempt=1", raw=True).splitlines()
        assert b" system F lost: " in frames[-1], f"no closing line, which the record knows: {frames[-1]!r}"


def other_boot(path: Path) -> None:
    facts = json.loads(path.read_text())
    path.write_text(json.dumps(facts | {"boot_id": "00000000-0000-0000-0000-000000000000"}))


def test_a_drain_that_lasts_too_long_gives_back_and_counts_nothing(tmp_path: Path) -> None:
    with counting(tmp_path, SILKMILL_DRAIN_TIMEOUT="0.5") as (server, task_id, grows):
        assert server.stop() == 0
        assert not marked(f"GROWS={grows}\0") and not growing([grows])
        waits = Evidence(server.data).task(task_id)
        assert (waits.state, waits.attempt) == ("pending", None)
        assert (waits.doc["counted_attempts"], waits.doc["lost_attempts"]) == (0, 0)
        server.start()
        task = server.wait(task_id, "finished")
        assert outcomes(task) == [("given_back", None), ("exit", None)]


def test_a_cancel_outlives_the_engine_that_took_it(tmp_path: Path, env: dict[str, str]) -> None:
    """It is answered when it is durable: what the next engine finds of the attempt is stopped. It is called
    cancelled where a cgroup proves that this was all of it."""
    state, reason = ("abnormal", "cancel not verified") if env else ("cancelled", None)
    with Server(tmp_path / "data", max_runners=1, env=env) as server:
        server.deploy(spider_folder(tmp_path, "stubborn", STUBBORN, '[limits]\ngrace = "10m"\n'))
        task_id = server.submit("stubborn", env={"MARK": str(tmp_path)})
        wait_for(lambda: server.log(task_id) == b"began\n", "its log")
        server.call("POST", f"/tasks/{task_id}/cancel", {})
        kill_engine_and_runners(server)
        assert len(marked(f"MARK={tmp_path}\0")) == 1, "the spider was to be left for the next engine"
        server.start()
        task = server.wait(task_id, "abnormal", "cancelled")
        wait_for(lambda: not marked(f"MARK={tmp_path}\0"), "it to be dead")
        task = server.wait(task_id, state)
        assert (task["attempt"], reason or task["reason"]) == (1, task["reason"]), task


def test_a_cancel_goes_on_when_only_the_engine_was_killed(tmp_path: Path) -> None:
    with Server(tmp_path / "data", max_runners=1) as server:
        server.deploy(spider_folder(tmp_path, "stubborn", STUBBORN, '[limits]\ngrace = "2s"\n'))
        task_id = server.submit("stubborn", env={"MARK": str(tmp_path)})
        wait_for(lambda: server.log(task_id) == b"began\n", "its log")
        server.call("POST", f"/tasks/{task_id}/cancel", {})
        server.kill()
        server.start()
        task = server.wait(task_id)
        assert (task["state"], task["attempt"], task["error_class"]) == ("cancelled", 1, "cancelled"), task
        assert not marked(f"MARK={tmp_path}\0")
