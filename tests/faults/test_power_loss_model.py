"""The model of a disk behind F16: what it must lose, what it must keep, what it must hear."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.faults.disk import Disk
from tests.faults.inodes import PAGE, SECTOR, Some, Write, everything, nothing
from tests.faults.machine import missing_for
from tests.faults.told import KnownTask, Told
from tests.faults.trace import Call, moments, recorder, wait_recorded

COMMITS = """
import os, sqlite3, sys
database, synchronous, said = sys.argv[1:]
connection = sqlite3.connect(database, isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
connection.execute("PRAGMA synchronous = " + synchronous)
connection.execute("PRAGMA wal_autocheckpoint = 10")
connection.execute("CREATE TABLE numbers (number INTEGER)")
said = os.open(said, os.O_WRONLY | os.O_CREAT)
for number in range(30):
    connection.execute("INSERT INTO numbers VALUES (?)", (number,))
    os.write(said, b"%d\\n" % number)
os._exit(0)
"""
NAMES = """
import os, subprocess, sys, threading
os.chdir(sys.argv[1])
subprocess.run([sys.executable, "-c", "open('by another program', 'w')"], check=True)
def write(name, data):
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, data)
    os.fsync(descriptor)
thread = threading.Thread(target=write, args=("\\u00fc>\\"(1", b"\\x00\\xff\\"" * 1000))
thread.start()
thread.join()
os.fsync(os.open(".", os.O_RDONLY))
write("unnamed", b"its folder is not synced")
os.rename(os.path.abspath("\\u00fc>\\"(1"), os.path.abspath("renamed"))
os._exit(0)
"""

FIRST_START = """
import os, pathlib, sys
from silkmill.runtime.datadir import DataDirectory
from silkmill.worker.identity import node_id
directory = DataDirectory(pathlib.Path(sys.argv[1]))
directory.make()
directory.token()
node_id(directory.path)
os._exit(0)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    if missing := missing_for(("strace",)):
        assert not os.environ.get("CI"), f"{missing} is missing"
        pytest.skip(f"{missing} is missing")
    return tmp_path


def record(script: str, *arguments: object, recording: Path) -> list[Call]:
    command = [*recorder(recording), sys.executable, "-c", script, *map(str, arguments)]
    process = subprocess.Popen(command)
    assert process.wait(30) == 0
    wait_recorded(recording, process.pid)
    return list(moments(recording))


def commits_lost(folder: Path, synchronous: str, luck: str) -> int:
    """At how many moments a power failure takes a commit away that had been told."""
    data, said = folder / "data", folder / "said"
    data.mkdir()
    calls = record(COMMITS, data / "numbers.db", synchronous, said, recording=folder / "recording")
    disk, told, lost = Disk(data, lambda path: not path.name.endswith("-shm")), 0, 0
    for number, call in enumerate(calls):
        told += call.result is None and call.name == "write" and call.target == str(said)
        disk.play(call)
        if told and number % 3 == 0:
            survives = nothing if luck == "nothing" else Some(random.Random(number))
            left = disk.fail(folder / f"left-{number}", survives)
            lost += rows_of(left / "numbers.db") < told - 1  # the last may be told right now
    assert told == 30
    return lost


def rows_of(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_schema").fetchall():
            return 0
        return int(connection.execute("SELECT count(*) FROM numbers").fetchone()[0])


@pytest.mark.parametrize("luck", ["nothing", "some"])
def test_synced_commits_survive(folder: Path, luck: str) -> None:
    assert commits_lost(folder, "FULL", luck) == 0


def test_commits_that_were_not_synced_are_found_to_be_lost(folder: Path) -> None:
    assert commits_lost(folder, "NORMAL", "nothing") > 10


def test_names_survive_when_their_folder_was_synced(folder: Path) -> None:
    data = folder / "data"
    data.mkdir()
    disk = Disk(data, lambda path: True)
    for call in record(NAMES, data, recording=folder / "recording"):
        disk.play(call)
    lost, kept = disk.fail(folder / "lost", nothing), disk.fail(folder / "kept", everything)
    assert contents(lost) == {'ü>"(1': b'\x00\xff"' * 1000}
    assert contents(kept) == {"renamed": b'\x00\xff"' * 1000, "unnamed": b"its folder is not synced"}
    assert disk.unsynced() == 3


def test_what_the_first_start_makes_survives(folder: Path) -> None:
    world = folder / "world"
    world.mkdir()
    disk = Disk(world, lambda path: True)
    for call in record(FIRST_START, world / "new" / "data", recording=folder / "recording"):
        disk.play(call)
    data = disk.fail(folder / "left", nothing) / "new" / "data"
    assert {path.name for path in data.iterdir()} == {"bucket", "log", "token", "node"}
    for name in ("token", "node"):
        assert (data / name).read_bytes() == (world / "new" / "data" / name).read_bytes()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_sync_covers_what_was_written_before_it_began(tmp_path: Path) -> None:
    disk = Disk(Path("/data"), lambda path: True)
    for call in [
        *both(1, "openat", b'AT_FDCWD</>, "/data/file", O_RDWR|O_CREAT', 5),
        *both(1, "openat", b'AT_FDCWD</>, "/data", O_RDONLY', 6),
        *both(1, "fsync", b"6</data>", 0),
        *both(1, "pwrite64", b'5</data/file>, "\\x61\\x62", 2, 0', 2),
        Call(1, "fsync", b"5</data/file>"),
        *both(2, "pwrite64", b'5</data/file>, "\\x63\\x64", 2, 2', 1),
        Call(2, "pwrite64", b'5</data/file>, "\\x65", 1, 3'),
    ]:
        disk.play(unhexed(call))
    assert contents(disk.fail(tmp_path / "1", nothing)) == {"file": b""}, "the sync has not returned"
    disk.play(Call(1, "fsync", b"5</data/file>", 0))
    assert contents(disk.fail(tmp_path / "2", nothing)) == {"file": b"ab"}
    assert contents(disk.fail(tmp_path / "3", everything)) == {"file": b"abc"}, "a short write, one under way"


def both(thread: int, name: str, arguments: bytes, result: int) -> Iterator[Call]:
    yield Call(thread, name, arguments)
    yield Call(thread, name, arguments, result)


def unhexed(call: Call) -> Call:
    """strace prints every character of a text as hexadecimal digits."""
    before, quote, after = call.arguments.partition(b'"/')
    text, _, rest = after.partition(b'"')
    hexed = before + b'"' + b"".join(b"\\x%02x" % byte for byte in b"/" + text) + b'"' + rest
    return Call(call.thread, call.name, hexed, call.result) if quote else call


def test_a_torn_write_leaves_whole_sectors() -> None:
    sizes, written = set(), Write(SECTOR - 12, b"x" * 3 * PAGE)
    for seed in range(200):
        survivors = Some(random.Random(seed))([written])
        assert all(len(piece.data) <= PAGE for piece in survivors if isinstance(piece, Write))
        sizes.add(sum(len(piece.data) for piece in survivors if isinstance(piece, Write)))
    assert {0, 12, 12 + SECTOR, 3 * PAGE} <= sizes


def test_an_answer_is_told_with_its_last_byte() -> None:
    told = Told()
    send(told, b"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: 30\r\n\r\n")
    send(told, b'{"id":"one","state":"pendin')
    assert told.tasks == {}
    send(told, b'g"}')
    assert told.tasks == {"one": KnownTask()}


def test_events_are_told_one_by_one() -> None:
    told = Told()
    send(told, b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    send(told, b'2a\r\nevent: task\ndata: {"id":"one","state":"running","revision":3}\n\n\r\n')
    assert told.tasks == {"one": KnownTask(revision=3)}
    send(told, b'2a\r\nid: x\nevent: task.ended\ndata: {"id":"one","state":"finished","revision":4}\n\n\r\n')
    assert told.tasks == {"one": KnownTask(revision=4, state="finished")}


def send(told: Told, data: bytes) -> None:
    hexed = b"".join(b"\\x%02x" % byte for byte in data)
    told.play(Call(1, "write", b'9<socket:[7]>, "%b", %d' % (hexed, len(data))))
