"""A worker over real runner processes and a master in memory."""

from __future__ import annotations

import os
import shutil
import signal
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.support.packages import Index, make_wheel
from worker_driver import WorkerDriver, processes_of
from worker_master import FakeMaster

from silkmill.protocol import cgroup
from silkmill.worker.runner_process import read_runner_file
from silkmill.worker.sockets import digest_of, socket_folder


@pytest.fixture
def master() -> FakeMaster:
    return FakeMaster()


@pytest.fixture
def marker() -> Iterator[str]:
    """A value for the environment of spiders, by which every process of theirs is found; all are ended."""
    marker = uuid.uuid4().hex
    yield marker
    for pid in processes_of(marker):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A data directory; afterwards its runners and what they made outside of it are gone."""
    data = tmp_path / "data"
    data.mkdir()
    yield data
    for slot in data.glob("runners/*"):
        runner = read_runner_file(slot)
        if runner is not None and Path(f"/proc/{runner.pid}").exists():
            os.kill(runner.pid, signal.SIGKILL)
    shutil.rmtree(socket_folder(data))
    for home in cgroup.own_groups():
        _remove_group(Path(home) / f"silkmill-{digest_of(data)}")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    """Where the builds of this process find the wheel `tinydep`, and nothing else."""
    index = Index(tmp_path / "index")
    make_wheel(index.wheels, "tinydep")
    for name in [name for name in os.environ if name.startswith(("UV_", "PIP_"))]:
        monkeypatch.delenv(name)
    for name, value in index.variables.items():
        monkeypatch.setenv(name, value)
    return index


@pytest.fixture(params=["auto", "walk"])
async def worker(
    request: pytest.FixtureRequest, data: Path, master: FakeMaster
) -> AsyncIterator[WorkerDriver]:
    """A registered worker, with and without cgroups."""
    async with WorkerDriver(master, data, containment=request.param) as driver:
        yield driver


def _remove_group(group: Path) -> None:
    """What is left of the cgroups of a worker that was cut."""
    deadline = time.monotonic() + 10
    while group.exists():
        assert time.monotonic() < deadline, f"{group} is not empty: {cgroup.pids_in(str(group))}"
        cgroup.kill_group(str(group))
        cgroup.remove_group(str(group))
        time.sleep(0.01)
