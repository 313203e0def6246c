"""The files of an attempt: private, verified, inside their directory."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from silkmill.domain.errors import NotFound
from silkmill.domain.version import FileEntry
from silkmill.worker.copies import SMALL_BYTES, Copies
from silkmill.worker.directories import AttemptDirectories, keep, remove
from silkmill.worker.prepare import files as files_module
from silkmill.worker.prepare.blobs import BlobCache
from silkmill.worker.prepare.errors import PreparationFailed
from silkmill.worker.prepare.files import check_paths, copy_files

PIECE = 300_000


class Source:
    """Blobs by hash; records what was fetched."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.fetched: list[str] = []

    def entry(self, path: str, content: bytes, mode: int = 0o644) -> FileEntry:
        sha256 = hashlib.sha256(content).hexdigest()
        self.blobs[sha256] = content
        return FileEntry(path, sha256, len(content), mode)

    async def fetch(self, sha256: str) -> AsyncIterator[bytes]:
        self.fetched.append(sha256)
        if sha256 not in self.blobs:
            raise NotFound("blob", sha256)
        content = self.blobs[sha256]
        for start in range(0, len(content), PIECE):
            yield content[start : start + PIECE]


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def work(tmp_path: Path) -> Path:
    work = tmp_path / "work"
    work.mkdir()
    return work


def cache(tmp_path: Path, source: Source, limit_bytes: int = 1 << 30) -> BlobCache:
    return BlobCache(tmp_path / "blobs", source.fetch, limit_bytes)


async def test_small_and_large_files_are_copied_with_their_modes(
    tmp_path: Path, source: Source, work: Path
) -> None:
    large = os.urandom(SMALL_BYTES * 3 + 1)
    entries = [
        source.entry("a.txt", b"a"),
        source.entry("deep/er/b.sh", b"b", 0o755),
        source.entry("deep/large.bin", large, 0o600),
        source.entry("empty", b""),
    ]
    await copy_files(entries, cache(tmp_path, source), work, Copies())
    assert (work / "a.txt").read_bytes() == b"a" and (work / "deep/large.bin").read_bytes() == large
    assert [(work / e.path).stat().st_mode & 0o777 for e in entries] == [0o644, 0o755, 0o600, 0o644]


async def test_the_copy_is_private(tmp_path: Path, source: Source, work: Path) -> None:
    blobs = cache(tmp_path, source)
    entry = source.entry("a.txt", b"original")
    await copy_files([entry], blobs, work, Copies())
    (work / "a.txt").write_bytes(b"edited by a spider")
    assert Path(blobs.path(entry.sha256)).read_bytes() == b"original"
    assert (work / "a.txt").stat().st_nlink == 1


async def test_what_is_in_the_cache_is_not_fetched_again(tmp_path: Path, source: Source, work: Path) -> None:
    blobs = cache(tmp_path, source)
    entry = source.entry("a.txt", b"content")
    await copy_files([entry], blobs, work, Copies())
    (work / "a.txt").unlink()
    await copy_files([entry], blobs, work, Copies())
    assert len(source.fetched) == 1


async def test_a_truncated_cache_file_is_fetched_again(tmp_path: Path, source: Source, work: Path) -> None:
    blobs = cache(tmp_path, source)
    entry = source.entry("a.txt", b"content")
    Path(blobs.path(entry.sha256)).write_bytes(b"con")
    await copy_files([entry], blobs, work, Copies())
    assert (work / "a.txt").read_bytes() == b"content"


async def test_content_that_does_not_match_its_hash_is_refused(
    tmp_path: Path, source: Source, work: Path
) -> None:
    entry = source.entry("main.py", b"true content")
    source.blobs[entry.sha256] = b"other content"
    with pytest.raises(PreparationFailed, match=r"file main\.py") as failure:
        await copy_files([entry], cache(tmp_path, source), work, Copies())
    assert not failure.value.permanent
    assert list((tmp_path / "blobs").iterdir()) == []


@pytest.mark.parametrize("path", ["../a", "/etc/passwd", "a/../../b", "", "a//b", "./a", "a/.", "a\0b", ".."])
def test_paths_that_leave_the_directory_are_refused(source: Source, path: str) -> None:
    with pytest.raises(PreparationFailed, match="not a path inside") as failure:
        check_paths([source.entry(path, b"x")])
    assert failure.value.permanent


@pytest.mark.parametrize("paths", [["a", "a"], ["a", "a/b"], ["a/b/c", "a/b"]])
def test_paths_that_collide_are_refused(source: Source, paths: list[str]) -> None:
    with pytest.raises(PreparationFailed, match=r"listed twice|also a folder"):
        check_paths([source.entry(path, b"x") for path in paths])


async def test_a_cancelled_copy_has_stopped_writing(
    tmp_path: Path, source: Source, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [source.entry(f"f{n}", b"%d" % n * 10_000) for n in range(100)]
    blobs = cache(tmp_path, source)
    reached, may_go_on = threading.Event(), threading.Event()
    copy = files_module._copy

    def slow_copy(*arguments: object) -> None:
        copy(*arguments)  # type: ignore[arg-type]
        reached.set()
        may_go_on.wait(5)

    monkeypatch.setattr(files_module, "_copy", slow_copy)
    copying = asyncio.create_task(copy_files(entries, blobs, work, Copies()))
    await asyncio.to_thread(reached.wait, 5)
    copying.cancel()
    await asyncio.sleep(0.05)
    assert not copying.done(), "it waits for its thread"
    may_go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await copying
    assert len(list(work.iterdir())) == 1


async def test_contents_in_memory_stay_within_their_room(tmp_path: Path, source: Source, work: Path) -> None:
    blobs = cache(tmp_path, source)
    for n in range(30):
        entry = source.entry(f"f{n}", b"%d" % n * 200_000)
        await copy_files([entry], blobs, work, Copies())
        assert (work / f"f{n}").stat().st_size == entry.size
    assert 0 < blobs._recent_bytes <= 4 << 20
    assert blobs._recent_bytes == sum(map(len, blobs._recent.values()))


async def test_what_was_not_used_for_longest_goes_first(tmp_path: Path, source: Source, work: Path) -> None:
    blobs = cache(tmp_path, source, limit_bytes=3_000)
    entries = [source.entry(f"f{n}", b"%d" % n * 1_000) for n in range(4)]
    for entry in (entries[0], entries[1], entries[2], entries[0], entries[3]):
        (work / entry.path).unlink(missing_ok=True)
        await copy_files([entry], blobs, work, Copies())
    assert cached(tmp_path) == {entry.sha256 for entry in (entries[0], entries[2], entries[3])}
    (work / "f1").unlink()
    await copy_files([entries[1]], blobs, work, Copies())
    assert source.fetched.count(entries[1].sha256) == 2
    assert (work / "f1").read_bytes() == b"1" * 1_000


async def test_a_version_that_is_larger_than_the_cache_is_copied_whole(
    tmp_path: Path, source: Source, work: Path
) -> None:
    blobs = cache(tmp_path, source, limit_bytes=3_000)
    entries = [source.entry(f"f{n}", b"%d" % n * 1_000) for n in range(9)]
    await copy_files(entries, blobs, work, Copies())
    assert len(list(work.iterdir())) == 9
    assert len(cached(tmp_path)) == 3


async def test_what_is_being_copied_stays(
    tmp_path: Path, source: Source, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = cache(tmp_path, source, limit_bytes=1_000_000)
    slow, fast = source.entry("slow", os.urandom(600_000)), source.entry("fast", os.urandom(600_000))
    reached, may_go_on = threading.Event(), threading.Event()
    copy_large = files_module._copy_large

    def waiting_copy(path: str, *arguments: object) -> None:
        if path == blobs.path(slow.sha256):
            reached.set()
            may_go_on.wait(5)
        copy_large(path, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(files_module, "_copy_large", waiting_copy)
    copying = asyncio.create_task(copy_files([slow], blobs, work, Copies()))
    await asyncio.to_thread(reached.wait, 5)
    await copy_files([fast], blobs, work, Copies())
    assert slow.sha256 in cached(tmp_path)
    may_go_on.set()
    await copying
    assert (work / "slow").stat().st_size == (work / "fast").stat().st_size == 600_000
    assert len(cached(tmp_path)) == 1


async def test_the_next_agent_knows_what_was_used_last(tmp_path: Path, source: Source, work: Path) -> None:
    blobs = cache(tmp_path, source)
    entries = [source.entry(f"f{n}", b"%d" % n * 1_000) for n in range(3)]
    await copy_files(entries, blobs, work, Copies())
    (tmp_path / "blobs" / "half.new").write_bytes(b"x")
    for age, entry in ((7200, entries[0]), (9000, entries[1]), (5000, entries[2])):
        then = time.time() - age
        os.utime(blobs.path(entry.sha256), (then, then))
    assert not cache(tmp_path, source).lacks(entries[1])
    cache(tmp_path, source, limit_bytes=2_000)
    assert cached(tmp_path) == {entries[1].sha256, entries[2].sha256}


async def test_a_blob_that_does_not_come_leaves_nothing(tmp_path: Path, source: Source, work: Path) -> None:
    entry = source.entry("a", b"a")
    del source.blobs[entry.sha256]
    with pytest.raises(PreparationFailed) as failure:
        await copy_files([entry], cache(tmp_path, source), work, Copies())
    assert failure.value.permanent
    assert cached(tmp_path) == set()


def cached(tmp_path: Path) -> set[str]:
    return {path.name for path in (tmp_path / "blobs").iterdir()}


async def test_a_released_directory_serves_the_next_attempt_empty(tmp_path: Path) -> None:
    directories = AttemptDirectories(tmp_path / "attempts", tmp_path / "released")
    first, second = directories.folder / "a.1", directories.folder / "b.1"
    directories.make(first, ())
    (first / "log.8").write_bytes(b"x")
    (first / "work" / "sub").mkdir()
    (first / "work" / "sub" / "file").write_bytes(b"x")
    (first / "work" / "link").symlink_to("/etc")
    identity = first.stat().st_ino
    directories.release(first, Copies())
    assert not first.exists()
    await directories.tick()
    directories.make(second, ())
    assert second.stat().st_ino == identity
    assert [path.name for path in second.rglob("*")] == ["work"]
    await directories.close()
    assert Path("/etc").is_dir()


async def test_the_files_of_the_engine_serve_the_next_attempt_empty(tmp_path: Path) -> None:
    directories = AttemptDirectories(tmp_path / "attempts", tmp_path / "released")
    first, second = directories.folder / "a.1", directories.folder / "b.1"
    directories.make(first, ())
    inodes = set()
    for name in ("spec.json", "outcome.json", "log.0", "items.0"):
        os.close(os.open(first / name, os.O_WRONLY | os.O_CREAT, 0o600))
        (first / name).write_bytes(b"secret")
        inodes.add((first / name).stat().st_ino)
    directories.release(first, Copies())
    await directories.tick()
    directories.make(second, ())
    spares = sorted(path for path in second.iterdir() if path.name != "work")
    assert [path.name for path in spares] == ["log.0", "outcome.json.new", "spec.json.new"]
    assert all(path.stat().st_size == 0 and path.stat().st_ino in inodes for path in spares)


async def test_what_a_spider_put_in_their_place_does_not(tmp_path: Path) -> None:
    directories = AttemptDirectories(tmp_path / "attempts", tmp_path / "released")
    first, second = directories.folder / "a.1", directories.folder / "b.1"
    directories.make(first, ())
    victim = tmp_path / "victim"
    victim.write_bytes(b"kept")
    victim.chmod(0o600)
    (first / "spec.json").symlink_to(victim)
    (first / "outcome.json").hardlink_to(victim)
    (first / "log.0").write_bytes(b"x")
    (first / "log.0").chmod(0o666)
    directories.release(first, Copies())
    await directories.tick()
    directories.make(second, ())
    assert [path.name for path in second.iterdir()] == ["work"]
    assert victim.read_bytes() == b"kept"


async def test_a_directory_a_spider_has_changed_is_not_used_again(tmp_path: Path) -> None:
    directories = AttemptDirectories(tmp_path / "attempts", tmp_path / "released")
    for change in (_open_to_all, _replace_by_link, _remove_work):
        directory = directories.folder / "a.1"
        directories.make(directory, ())
        change(directory / "work")
        directories.release(directory, Copies())
        await directories.tick()
        assert not directory.exists()
        assert list((tmp_path / "released").iterdir()) == []


async def test_a_directory_of_any_size_is_removed(tmp_path: Path) -> None:
    directory = tmp_path / "a.1"
    deep = directory / "work" / "x" / "y"
    deep.mkdir(parents=True)
    for n in range(500):
        (deep / f"{n}").touch()
    await remove(directory)
    assert not directory.exists()


async def test_what_is_kept_too_long_is_removed(tmp_path: Path) -> None:
    directories = AttemptDirectories(tmp_path / "attempts", tmp_path / "released")
    old, young, running = (directories.folder / name for name in ("a.1", "b.1", "c.1"))
    for directory in (old, young, running):
        directories.make(directory, ())
    keep(old)
    keep(young)
    os.utime(old / "kept", (0, 0))
    await directories.remove_expired(3600)
    assert sorted(path.name for path in directories.folder.iterdir()) == ["b.1", "c.1"]


def _open_to_all(work: Path) -> None:
    work.chmod(0o777)


def _replace_by_link(work: Path) -> None:
    work.rmdir()
    work.symlink_to("/tmp")


def _remove_work(work: Path) -> None:
    work.rmdir()
