"""F15: the disk is full under the attempts, the database or the bucket, and later is not."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import time
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.engine.server import Server, wait_for
from tests.faults.board import Profile, Result, Row
from tests.faults.chatter import Chatter, check_complete, deploy_chatter, start_chatters
from tests.faults.checker import Evidence

SIZE = "32m"
FULL_SECONDS = 2.0


@contextlib.contextmanager
def tmpfs(folder: Path) -> Iterator[Path]:
    """A small file system of its own, unmounted at the end; what still runs keeps it until it ends."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "silkmill-test", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextlib.contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Not a byte is free, until the block is left. Checked at its end: it was full all the time."""
    filler = folder / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            with contextlib.suppress(OSError):
                while file.write(b"\0" * size) == size:
                    pass
    yield
    assert os.statvfs(folder).f_bavail == 0, f"{folder} was not full any more"
    filler.unlink()


def run_full(
    folder: Path, result: Result, small: Callable[[Path], Path], rate: int, refused: Callable[[Server], bool]
) -> None:
    """`small(data)` is the folder that becomes a small file system; `refused` sees that something failed."""
    data = folder / "data"
    with tmpfs(small(data)) as disk, Server(data, max_runners=4) as server:
        deploy_chatter(server, folder)
        chatters = start_chatters(server, folder, 3, seconds=3600.0, rate=rate)
        time.sleep(1.0)  # so that something has been acknowledged before
        pids = [chatter.pids() for chatter in chatters]
        with filled(disk):
            wait_for(lambda: refused(server), "the full disk to be felt", seconds=30)
            time.sleep(FULL_SECONDS)  # the fault itself
            assert [chatter.pids() for chatter in chatters] == pids, "a spider was disturbed"
        freed, stored = time.monotonic(), _stored(data, chatters)
        wait_for(lambda: _all_beyond(data, chatters, stored), "every stream to go on", seconds=10)
        result.passed(time.monotonic() - freed)
        for chatter in chatters:
            chatter.stop()
        for chatter in chatters:
            server.wait(chatter.task_id, seconds=60)
            check_complete(Evidence(data), chatter)
        Evidence(data).integrity()


def _stored(data: Path, chatters: list[Chatter]) -> dict[str, int]:
    tasks = Evidence(data).tasks()
    return {chatter.task_id: tasks[chatter.task_id].log_offset for chatter in chatters}


def _all_beyond(data: Path, chatters: list[Chatter], before: dict[str, int]) -> bool:
    return all(after > before[task_id] for task_id, after in _stored(data, chatters).items())


def disk_full(folder: Path, profile: Profile, result: Result) -> None:
    for number in range(profile.pick(short=1, full=10)):
        base = folder / str(number)
        run_full(base / "attempts", result, lambda data: data / "attempts", 2000, _nothing_arrives)
        run_full(base / "bucket", result, lambda data: data / "bucket", 6000, _blob_refused)
        _beside_the_database(base / "database" / "data")
        run_full(base / "database", result, lambda data: data / "db", 600, _task_refused)
    result.figures = {"acknowledged lost": 0}


def _beside_the_database(data: Path) -> None:
    """The database alone lies on the small disk."""
    data.mkdir(parents=True)
    for name in ("silkmill.db", "silkmill.db-wal", "silkmill.db-shm"):
        (data / name).symlink_to(data / "db" / name)


def _nothing_arrives(server: Server) -> bool:
    """The streams stand still although the spiders talk."""
    before = {task.id: task.log_offset for task in Evidence(server.data).tasks().values()}
    time.sleep(0.5)
    return before == {task.id: task.log_offset for task in Evidence(server.data).tasks().values()}


def _task_refused(server: Server) -> bool:
    try:
        server.submit("chatter", env={"RECORD": "/nonexistent/never-runs"})
    except urllib.error.HTTPError as error:
        assert error.code == 503 and error.headers["Retry-After"], (error.code, error.read())
        return True
    return False


def _blob_refused(server: Server) -> bool:
    content = os.urandom(64 << 10)
    try:
        server.call("PUT", f"/blobs/{hashlib.sha256(content).hexdigest()}", content, raw=True)
    except urllib.error.HTTPError as error:
        assert error.code == 503 and error.headers["Retry-After"], (error.code, error.read())
        return True
    return False


ROW = Row(
    "F15",
    "disk full under attempts, bucket, database",
    "nothing acknowledged is lost, work goes on by itself",
    disk_full,
    needs=("tmpfs",),
)
