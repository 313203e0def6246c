"""What the local folder does beyond the contract: durable, atomic, and honest about a full disk."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from silkmill.adapters import bucket as bucket_module
from silkmill.adapters.bucket import LocalBucket
from silkmill.domain.errors import Unavailable


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    return LocalBucket(tmp_path / "bucket")


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths in the order in which they were fsynced or renamed."""
    calls: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def record_fsync(descriptor: int) -> None:
        calls.append(f"fsync {Path(f'/proc/self/fd/{descriptor}').readlink()}")
        fsync(descriptor)

    def record_rename(path: Path, target: Path) -> Path:
        calls.append(f"rename {target}")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(Path, "rename", record_rename)
    return calls


async def test_file_and_folders_are_on_the_disk_before_success(
    bucket: LocalBucket, tmp_path: Path, synced: list[str]
) -> None:
    root = tmp_path / "bucket"
    await bucket.put("logs/t/1", b"x")
    assert synced[0].startswith(f"fsync {root}/.staging/")
    assert synced[1:] == [
        f"fsync {root}",
        f"fsync {root}/logs",
        f"rename {root}/logs/t/1",
        f"fsync {root}/logs/t",
    ]
    synced.clear()
    await bucket.put("logs/t/2", b"x")
    assert synced[1:] == [f"rename {root}/logs/t/2", f"fsync {root}/logs/t"]


async def test_folders_made_by_an_earlier_process_are_synced_once_more(
    bucket: LocalBucket, tmp_path: Path, synced: list[str]
) -> None:
    await bucket.put("logs/t/1", b"x")
    synced.clear()
    await LocalBucket(tmp_path / "bucket").put("logs/t/2", b"x")
    assert f"fsync {tmp_path}/bucket/logs" in synced


async def test_a_put_into_a_folder_that_a_delete_took_away(bucket: LocalBucket, tmp_path: Path) -> None:
    await bucket.put("logs/t/1", b"x")
    await bucket.delete(["logs/t/1"])
    assert not (tmp_path / "bucket" / "logs").exists(), "empty folders go with their last object"
    await asyncio.gather(*(bucket.put(f"logs/t/{number}", b"x") for number in range(20)))
    assert len(await bucket.names("logs/")) == 20


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("step", ["write", "fsync"])
async def test_a_disk_that_refuses_stores_nothing(
    bucket: LocalBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, code: int
) -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield b"x"

    def refuse(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as broken:
        broken.setattr(os, step, refuse)
        with pytest.raises(Unavailable, match=os.strerror(code)) as refused:
            await bucket.put("logs/t/1", b"x")
        with pytest.raises(Unavailable):
            await bucket.put_stream("logs/t/1", stream())
    assert refused.value.part == "bucket"
    assert await bucket.names("logs/") == []
    assert list((tmp_path / "bucket" / ".staging").iterdir()) == []
    await bucket.put("logs/t/1", b"x")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path]).returncode != 0:
        pytest.skip("needs to mount a tmpfs")
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


@pytest.mark.root
async def test_a_full_disk_is_unavailable_and_goes_on_when_there_is_room(small_disk: Path) -> None:
    bucket = LocalBucket(small_disk / "bucket")
    await bucket.put("logs/t/1", b"x" * 700_000)
    with pytest.raises(Unavailable, match="No space left"):
        await bucket.put("logs/t/2", b"x" * 700_000)
    assert await bucket.names("logs/") == ["logs/t/1"]
    await bucket.delete(["logs/t/1"])
    await bucket.put("logs/t/2", b"x" * 700_000)


async def test_what_a_killed_process_staged_is_no_object_and_goes_in_time(tmp_path: Path) -> None:
    LocalBucket(tmp_path)
    old, young = tmp_path / ".staging" / "old", tmp_path / ".staging" / "young"
    for staged in (old, young):
        staged.write_bytes(b"half")
    long_ago = time.time() - bucket_module.STAGING_KEPT_SECONDS - 1
    os.utime(old, (long_ago, long_ago))
    bucket = LocalBucket(tmp_path)
    await bucket.put("logs/t/1", b"x")
    assert (old.exists(), young.exists()) == (False, True)
    assert await bucket.names("logs/") == ["logs/t/1"]


async def test_a_range_reads_only_that_range(bucket: LocalBucket, tmp_path: Path) -> None:
    await bucket.put("logs/t/1", b"")
    os.truncate(tmp_path / "bucket/logs/t/1", 1 << 40)
    assert await bucket.get_range("logs/t/1", 1 << 39, 4) == b"\0\0\0\0"
    assert await bucket.size("logs/t/1") == 1 << 40


async def test_a_path_of_200_characters(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100) / ("y" * 100)
    bucket = LocalBucket(deep)
    await bucket.put("logs/t/1", b"x")
    assert (deep / "logs" / "t" / "1").read_bytes() == b"x"


async def test_a_put_that_is_cancelled_writes_into_no_other_file(
    bucket: LocalBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread is about to write; closing the file would give its number to the next one that is opened."""
    about_to, may = threading.Event(), threading.Event()
    write_all = bucket_module._write_all

    def write_late(descriptor: int, data: bytes) -> None:
        about_to.set()
        may.wait(10)
        write_all(descriptor, data)

    monkeypatch.setattr(bucket_module, "_write_all", write_late)

    async def pieces() -> AsyncIterator[bytes]:
        yield b"of an object"

    put = asyncio.create_task(bucket.put_stream("a/b", pieces()))
    await asyncio.to_thread(about_to.wait, 10)
    put.cancel()
    await asyncio.wait([put], timeout=0.05)
    with open(tmp_path / "other", "xb"):
        may.set()
        with pytest.raises(asyncio.CancelledError):
            await put
    assert (tmp_path / "other").read_bytes() == b""
    assert list((tmp_path / "bucket" / ".staging").iterdir()) == []
