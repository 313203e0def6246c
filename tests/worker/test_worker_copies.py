"""Copies that an attempt left as they were made serve the next one, and no others."""

from __future__ import annotations

import asyncio
import hashlib
import mmap
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from silkmill.domain.version import FileEntry
from silkmill.worker import removal
from silkmill.worker.copies import SMALL_BYTES, Copies
from silkmill.worker.directories import AttemptDirectories
from silkmill.worker.lost import has_begun
from silkmill.worker.prepare.blobs import BlobCache
from silkmill.worker.prepare.files import copy_files

CONTENT = {"main.py": b"print(1)\n", "pack/age/mod.py": b"x = 1\n", "pack/data": b"d" * 100}


class Node:
    """The part of a worker that makes and releases attempt directories."""

    def __init__(self, folder: Path) -> None:
        self.directories = AttemptDirectories(folder / "attempts", folder / "released")
        self.contents: dict[str, bytes] = {}
        self.blobs = BlobCache(folder / "blobs", self._fetch, 1 << 30)
        self._numbers = 0

    def version(self, content: dict[str, bytes]) -> tuple[FileEntry, ...]:
        entries = []
        for path, data in content.items():
            sha256 = hashlib.sha256(data).hexdigest()
            self.contents[sha256] = data
            entries.append(FileEntry(path, sha256, len(data), 0o755 if path.endswith(".py") else 0o644))
        return tuple(entries)

    async def prepare(self, files: tuple[FileEntry, ...]) -> tuple[Path, Copies]:
        self._numbers += 1
        directory = self.directories.folder / f"task.{self._numbers}"
        copies = self.directories.make(directory, files)
        await copy_files(files, self.blobs, directory / "work", copies)
        return directory, copies

    async def release(self, directory: Path, copies: Copies) -> None:
        self.directories.release(directory, copies)
        await self.directories.tick()

    async def _fetch(self, sha256: str) -> AsyncIterator[bytes]:
        yield self.contents[sha256]


@pytest.fixture(params=["disk", "memory"])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Node]:
    """File systems differ in which times of a file they keep: tmpfs does not see every write by mmap."""
    if request.param == "disk":
        yield Node(tmp_path)
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Node(Path(folder))


def inodes(work: Path) -> dict[str, int]:
    return {str(path.relative_to(work)): path.stat().st_ino for path in work.rglob("*") if path.is_file()}


def read(work: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(work)): (path.read_bytes(), path.stat().st_mode & 0o777)
        for path in work.rglob("*")
        if path.is_file()
    }


def as_deployed(content: dict[str, bytes]) -> dict[str, tuple[bytes, int]]:
    return {path: (data, 0o755 if path.endswith(".py") else 0o644) for path, data in content.items()}


async def test_untouched_copies_serve_the_next_attempt_and_what_was_added_goes(node: Node) -> None:
    files = node.version(CONTENT)
    directory, copies = await node.prepare(files)
    before = inodes(directory / "work")
    (directory / "work" / "out.txt").write_bytes(b"x")
    (directory / "work" / "pack" / "__pycache__").mkdir()
    (directory / "work" / "pack" / "__pycache__" / "mod.pyc").write_bytes(b"x")
    (directory / "work" / "main.link").symlink_to("main.py")
    await node.release(directory, copies)
    second, _ = await node.prepare(files)
    assert inodes(second / "work") == before
    assert read(second / "work") == as_deployed(CONTENT)
    assert not (second / "work" / "pack" / "__pycache__").exists()


def _write_as_much(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.write(b"evil"[: file.stat().st_size])


def _write_through_memory(file: Path) -> None:
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 0) as memory:
        assert memory[0] != 0  # a page that was read before
        memory[0:4] = b"evil"


def _write_and_restore_size(file: Path) -> None:
    size = file.stat().st_size
    file.write_bytes(b"e" * (size + 10))
    os.truncate(file, size)


def _write_and_restore_time(file: Path) -> None:
    before = file.stat()
    _write_as_much(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replace(file: Path) -> None:
    twin = file.with_name("twin")
    shutil.copy2(file, twin)
    _write_as_much(twin)
    twin.rename(file)


def _link(file: Path) -> None:
    os.link(file, file.with_name("twin"))


def _make_link(file: Path) -> None:
    file.rename(file.with_name("other"))
    file.symlink_to("other")


def _make_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _make_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _open_to_all(file: Path) -> None:
    file.chmod(0o777)


def _open_folder_to_all(file: Path) -> None:
    file.parent.chmod(0o777)


def _replace_folder(file: Path) -> None:
    folder = file.parent
    shutil.copytree(folder, folder.with_name("twin"))
    shutil.rmtree(folder)
    folder.with_name("twin").rename(folder)


def _lock_folder(file: Path) -> None:
    file.parent.chmod(0o000)


def _name_folder(file: Path) -> None:
    with suppress(OSError):  # not every file system has attributes
        os.setxattr(file.parent, "user.mark", b"x")


@pytest.mark.parametrize(
    "touch",
    [
        Path.unlink,
        Path.touch,
        _write_as_much,
        _write_through_memory,
        _write_and_restore_size,
        _write_and_restore_time,
        _replace,
        _link,
        _make_link,
        _make_folder,
        _make_pipe,
        _open_to_all,
        _open_folder_to_all,
        _replace_folder,
        _lock_folder,
        _name_folder,
    ],
)
async def test_a_copy_that_was_touched_is_made_anew(node: Node, touch: Callable[[Path], None]) -> None:
    files = node.version(CONTENT)
    directory, copies = await node.prepare(files)
    untouched = inodes(directory / "work")["main.py"]
    touch(directory / "work" / "pack" / "age" / "mod.py")
    await node.release(directory, copies)
    second, _ = await node.prepare(files)
    assert read(second / "work") == as_deployed(CONTENT)
    assert (second / "work" / "main.py").stat().st_ino == untouched
    assert (second / "work" / "pack" / "age").stat().st_mode & 0o777 == 0o755
    assert (second / "work" / "pack" / "age" / "mod.py").stat().st_nlink == 1
    assert "user.mark" not in os.listxattr(second / "work" / "pack" / "age")


def waiting(node: Node) -> Path:
    """The `work` of the one directory that waits for its next attempt."""
    (released,) = (node.directories.folder.parent / "released").iterdir()
    return released / "work"


def _remove_tree(work: Path) -> None:
    shutil.rmtree(work / "pack")


def _open_waiting_folder(work: Path) -> None:
    (work / "pack").chmod(0o777)


def _spoil(work: Path) -> None:
    (work / "main.py").write_bytes(b"evil(1)\n")


def _remove(work: Path) -> None:
    (work / "main.py").unlink()


def _remove_all(work: Path) -> None:
    shutil.rmtree(work.parent)


@pytest.mark.parametrize("meddle", [_remove_all, _remove_tree, _open_waiting_folder, _spoil, _remove])
async def test_who_meddles_with_what_waits_harms_nobody(node: Node, meddle: Callable[[Path], None]) -> None:
    files = node.version(CONTENT)
    await node.release(*await node.prepare(files))
    meddle(waiting(node))
    second, _ = await node.prepare(files)
    assert read(second / "work") == as_deployed(CONTENT)
    assert (second / "work" / "pack").stat().st_mode & 0o777 == 0o755


async def test_who_still_writes_to_a_released_copy_harms_nobody(node: Node) -> None:
    files = node.version(CONTENT)
    directory, copies = await node.prepare(files)
    with (directory / "work" / "main.py").open("r+b") as opened:
        await node.release(directory, copies)
        opened.write(b"late")
    second, _ = await node.prepare(files)
    assert read(second / "work") == as_deployed(CONTENT)


async def test_a_directory_with_something_that_cannot_be_removed_is_not_used_again(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = node.version(CONTENT)
    directory, copies = await node.prepare(files)
    (directory / "work" / "stuck").mkdir()
    monkeypatch.setattr(removal, "remove_tree", lambda path: None)
    await node.release(directory, copies)
    second, _ = await node.prepare(files)
    assert read(second / "work") == as_deployed(CONTENT)
    assert not (second / "work" / "stuck").exists()


async def test_another_version_takes_what_it_has_in_common(node: Node) -> None:
    directory, copies = await node.prepare(node.version(CONTENT))
    before = inodes(directory / "work")
    await node.release(directory, copies)
    changed = {"main.py": b"print(2)\n", "pack/data": CONTENT["pack/data"], "new/file": b"n"}
    second, _ = await node.prepare(node.version(changed))
    assert read(second / "work") == as_deployed(changed)
    assert (second / "work" / "pack" / "data").stat().st_ino == before["pack/data"]
    assert not (second / "work" / "pack" / "age").exists()


async def test_a_version_finds_its_own_copies_among_others(node: Node) -> None:
    versions = [node.version({"main.py": b"%d" % number}) for number in range(3)]
    prepared = [await node.prepare(files) for files in versions]
    before = [inodes(directory / "work") for directory, _ in prepared]
    for directory, copies in prepared:
        await node.release(directory, copies)
    for number in (2, 0, 1):
        directory, _ = await node.prepare(versions[number])
        assert inodes(directory / "work") == before[number]


async def test_large_versions_are_not_kept(node: Node) -> None:
    files = node.version({"large": b"x" * (SMALL_BYTES + 1), "folder/small": b"x"})
    directory, copies = await node.prepare(files)
    await node.release(directory, copies)
    assert not any((node.directories.folder.parent / "released" / "1" / "work").iterdir())
    second, _ = await node.prepare(files)
    assert read(second / "work").keys() == {"large", "folder/small"}


async def test_copies_of_an_attempt_that_was_not_prepared_here_are_not_kept(node: Node) -> None:
    directory, _ = await node.prepare(node.version(CONTENT))
    await node.release(directory, Copies())
    assert not any((node.directories.folder.parent / "released" / "1" / "work").iterdir())


async def test_released_directories_are_emptied_many_at_a_time_or_soon(node: Node) -> None:
    files = node.version(CONTENT)
    prepared = [await node.prepare(files) for _ in range(8)]
    wake = node.directories.wake
    for directory, copies in prepared[:7]:
        node.directories.release(directory, copies)
    assert not wake.is_set()
    node.directories.release(*prepared[7])
    assert wake.is_set()
    await node.directories.tick()
    wake.clear()
    node.directories.release(*await node.prepare(files))
    await asyncio.wait_for(wake.wait(), 10)


async def test_the_emptied_files_of_an_attempt_before_are_no_beginning(node: Node) -> None:
    directory, copies = await node.prepare(node.version(CONTENT))
    for name in ("spec.json", "outcome.json", "log.0"):
        os.close(os.open(directory / name, os.O_WRONLY | os.O_CREAT, 0o600))
        (directory / name).write_bytes(b"secret")
    assert has_begun(directory)
    await node.release(directory, copies)
    second, _ = await node.prepare(node.version(CONTENT))
    assert (second / "outcome.json.new").exists() and (second / "log.0").exists()
    assert not has_begun(second)
