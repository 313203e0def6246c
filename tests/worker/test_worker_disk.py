"""A disk that is full, or is kept from becoming so."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from worker_driver import WorkerDriver, ended, stdout_of, wait_until
from worker_master import FakeMaster

from silkmill.domain.spider import Limits
from silkmill.protocol.attemptdir import list_segments
from silkmill.protocol.logframe import parse_frames
from silkmill.worker.log_head import LIMIT_BYTES, LogHead


@pytest.fixture
def small_disk(data: Path) -> Iterator[Path]:
    """The data directory on a disk of 4 MiB."""
    if os.getuid() != 0:
        pytest.skip("only root can mount a small disk")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(data)], check=True)
    yield data
    subprocess.run(["umount", "-l", str(data)], check=True)


@pytest.mark.root
async def test_a_preparation_waits_for_room(small_disk: Path, master: FakeMaster) -> None:
    ballast = small_disk / "ballast"
    async with WorkerDriver(master, small_disk) as worker:
        await ended(master.offer(["true"]))
        with open(ballast, "wb", buffering=0) as file:
            while file.write(b"x" * 4096) == 4096 and _free(small_disk) > 0:
                pass
        files, limits = [master.file("a.bin", os.urandom(200_000))], Limits(prepare_seconds=0.8)
        stored = master.offer(["true"], files=files, limits=limits)
        await wait_until(lambda: master.called("blob"), "the preparation to begin")
        await asyncio.sleep(1.5)
        assert not stored.ended.is_set() and len(worker.agent.held) == 1
        assert stored.preparing[0][0].startswith("waits, the disk is full") and stored.preparing[0][1]
        ballast.unlink()
        await ended(stored)
        assert stored.facts is not None and stored.facts.exit_code == 0
        await worker.drain()


def test_the_head_of_a_log_is_the_same_in_a_directory_that_is_made_anew(tmp_path: Path) -> None:
    grown: list[int] = []
    head = LogHead(tmp_path / "attempt", lambda log, items, count: grown.append(log))
    head.say("there is no room yet")
    (tmp_path / "attempt").mkdir()
    head.say("there is")
    log = tmp_path / "attempt" / "log.0"
    written = log.read_bytes()
    log.write_bytes(written[:30])
    head.write()
    assert log.read_bytes() == written and [frame.text for frame in parse_frames(written)] == [
        b"there is no room yet",
        b"there is",
    ]
    assert grown == [len(written)] * 2 == [head.size] * 2 and head.lines == 2


def test_a_head_does_not_grow_for_ever(tmp_path: Path) -> None:
    head = LogHead(tmp_path, lambda log, items, count: None)
    for _ in range(200):
        head.say("x" * 60_000)
    assert head.size < LIMIT_BYTES + 100_000
    assert (tmp_path / "log.0").read_bytes().endswith(b"more of this is left out\n")


async def test_the_spool_limit_slows_the_spider_and_costs_nothing(data: Path, master: FakeMaster) -> None:
    limit = 24 << 20
    async with WorkerDriver(master, data, spool_bytes=limit) as worker:
        script = "import sys\nfor n in range(800): sys.stdout.write(('%06d' % n) * 20_000 + '\\n')"
        master.fail("append_log", times=6)
        stored = master.offer([sys.executable, "-c", script])
        directory = str(worker.data / "attempts" / str(stored.order.ref))
        most = 0
        while not stored.ended.is_set():
            if Path(directory).exists():
                most = max(most, sum(segment.size for segment in list_segments(directory, "log")))
            await asyncio.sleep(0.01)
        assert most < limit + (9 << 20), "one segment and one read may go beyond"
        expected = b"".join(b"%06d" % n * 20_000 + b"\n" for n in range(800))
        assert stdout_of(stored) == expected


async def test_directories_on_another_disk_than_the_cache_are_removed(
    small_disk: Path, master: FakeMaster, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "cache"
    elsewhere.mkdir()
    (small_disk / "cache").symlink_to(elsewhere)
    async with WorkerDriver(master, small_disk) as worker:
        await ended(master.offer(["true"]))
        await wait_until(lambda: worker.attempts() == [], "the directory to be removed")
        await worker.drain()


def _free(folder: Path) -> int:
    return os.statvfs(folder).f_bavail
