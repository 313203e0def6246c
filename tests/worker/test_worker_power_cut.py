"""Files that a power cut has left empty: nothing of a worker is fsynced but its name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from worker_driver import WorkerDriver, ended
from worker_master import FakeMaster

SAVES = "from silkmill.sdk import save_item\nsave_item({'n': 1})"


@pytest.mark.parametrize("name", ["runners/0/runner.json", "attempts/task.1/spec.json"])
async def test_an_agent_starts_beside_an_empty_file(data: Path, master: FakeMaster, name: str) -> None:
    file = data / name
    file.parent.mkdir(parents=True)
    file.touch()
    async with WorkerDriver(master, data):
        facts = (await ended(master.offer(["true"]))).facts
        assert facts is not None and facts.exit_code == 0


async def test_the_folder_of_the_sdk_is_made_anew(data: Path, master: FakeMaster) -> None:
    async with WorkerDriver(master, data):
        pass
    for file in (data / "sdk").rglob("*.py"):
        file.write_bytes(b"")
    async with WorkerDriver(master, data):
        stored = await ended(master.offer([sys.executable, "-c", SAVES]))
        assert stored.items == [b'{"n":1}'], bytes(stored.log)
    assert len(list((data / "sdk").iterdir())) == 1
