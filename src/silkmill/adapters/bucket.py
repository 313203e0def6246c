"""The bucket on obstore: any of its object stores, and a local folder that is durable when `put` returns."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore, ObjectStore

from silkmill.domain.errors import NotFound, Unavailable

STREAM_PART_BYTES = 5 * 1024 * 1024
"""The smallest part that object stores take in a multipart upload."""
STAGING = ".staging"
STAGING_KEPT_SECONDS = 3600.0
KNOWN_FOLDERS = 10_000
LARGE_BYTES = 1024 * 1024
"""Objects of so many bytes are read late or never: they leave the page cache once they are on the disk. A
flood of log would else push out what is in use, and was measured to take twice the time."""

# No segment begins with a dot: neither `..` nor the staging folder can be named.
_NAME = re.compile(r"[A-Za-z0-9_=-][A-Za-z0-9._=-]{0,199}(/[A-Za-z0-9_=-][A-Za-z0-9._=-]{0,199})*").fullmatch


class ObjectBucket:
    """The Bucket port over an obstore object store whose puts are durable and atomic by themselves."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def put(self, name: str, data: bytes) -> None:
        _check(name)
        with _translated(name):
            await obstore.put_async(self._store, name, data)

    async def put_stream(self, name: str, pieces: AsyncIterator[bytes]) -> None:
        _check(name)
        with _translated(name):
            await obstore.put_async(
                self._store, name, pieces, chunk_size=STREAM_PART_BYTES, max_concurrency=1
            )

    async def get(self, name: str) -> bytes:
        _check(name)
        with _translated(name):
            result = await obstore.get_async(self._store, name)
            return bytes(await result.bytes_async())

    async def get_range(self, name: str, start: int, length: int) -> bytes:
        _check(name)
        with _translated(name):
            try:
                return bytes(await obstore.get_range_async(self._store, name, start=start, length=length))
            except (BaseError, ValueError):  # obstore refuses a range that holds no byte
                if start < await self.size(name) and length > 0:
                    raise
                return b""

    async def size(self, name: str) -> int:
        _check(name)
        with _translated(name):
            return (await obstore.head_async(self._store, name))["size"]

    async def names(self, prefix: str) -> list[str]:
        _check(prefix.removesuffix("/"))
        with _translated(prefix):
            return sorted([meta["path"] async for batch in self._store.list(prefix) for meta in batch])

    async def delete(self, names: list[str]) -> None:
        for name in names:
            _check(name)
            with _translated(name):
                try:
                    await obstore.delete_async(self._store, name)
                except FileNotFoundError:
                    continue


class LocalBucket(ObjectBucket):
    """Objects as files below a folder, which is made when it is missing.

    obstore's LocalStore shows an object under its name before its bytes are on the disk, and never fsyncs a
    folder. So files are written here: staged, fsynced, renamed, and the folder fsynced."""

    def __init__(self, path: Path) -> None:
        self._root = path.absolute()
        self._staging = self._root / STAGING
        self._folders_lock = threading.Lock()
        self._folders: set[Path] = set()
        self._make_folder(self._staging)
        self._drop_stale_staging()
        super().__init__(LocalStore(self._root, automatic_cleanup=True))

    async def put(self, name: str, data: bytes) -> None:
        _check(name)
        with _disk_errors():
            await asyncio.to_thread(self._put, name, data)

    async def put_stream(self, name: str, pieces: AsyncIterator[bytes]) -> None:
        _check(name)
        staged = self._staged_path()
        try:
            with _disk_errors(), open(staged, "xb", buffering=0) as file:
                await _write_pieces(file.fileno(), pieces)
                await _in_thread(self._publish, file.fileno(), staged, name)
        finally:
            staged.unlink(missing_ok=True)

    def _put(self, name: str, data: bytes) -> None:
        staged = self._staged_path()
        try:
            with open(staged, "xb", buffering=0) as file:
                _write_all(file.fileno(), data)
                self._publish(file.fileno(), staged, name)
        finally:
            staged.unlink(missing_ok=True)

    def _publish(self, descriptor: int, staged: Path, name: str) -> None:
        os.fsync(descriptor)
        if os.fstat(descriptor).st_size >= LARGE_BYTES:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        target = self._root / name
        self._make_folder(target.parent)
        try:
            staged.rename(target)
        except FileNotFoundError:  # the folder was empty and a delete has just taken it away
            self._make_folder(target.parent, forget=True)
            staged.rename(target)
        _fsync_folder(target.parent)

    def _make_folder(self, folder: Path, *, forget: bool = False) -> None:
        """Make the folder and those above it, each durable in its parent; known ones cost nothing."""
        with self._folders_lock:
            if forget or len(self._folders) > KNOWN_FOLDERS:
                self._folders.clear()
            for level in reversed([folder, *folder.parents]):
                if level not in self._folders and (level == self._root or self._root in level.parents):
                    level.mkdir(mode=0o700, parents=True, exist_ok=True)
                    _fsync_folder(level.parent)
                    self._folders.add(level)

    def _staged_path(self) -> Path:
        return self._staging / secrets.token_hex(16)

    def _drop_stale_staging(self) -> None:
        """What a killed process left behind; a young file may be another process's put under way."""
        for staged in self._staging.iterdir():
            if time.time() - staged.stat().st_mtime > STAGING_KEPT_SECONDS:
                staged.unlink(missing_ok=True)


def memory_bucket() -> ObjectBucket:
    """A bucket that forgets everything with its process; for tests."""
    return ObjectBucket(MemoryStore())


def _check(name: str) -> None:
    """Names come from the engine, so a bad one is a defect of the caller: ValueError."""
    if not _NAME(name):
        raise ValueError(f"{name!r} is no name of an object")


@contextmanager
def _translated(name: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound("object", name) from error
    except (BaseError, OSError) as error:
        raise _unavailable(error) from error


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unavailable(error) from error


def _unavailable(error: Exception) -> Unavailable:
    lines = str(error).splitlines()  # obstore adds a dump of its source to the first line
    return Unavailable("bucket", lines[0] if lines else type(error).__name__)


async def _write_pieces(descriptor: int, pieces: AsyncIterator[bytes]) -> None:
    async for piece in pieces:
        await _in_thread(_write_all, descriptor, piece)


async def _in_thread(work: Callable[..., None], *arguments: object) -> None:
    """Lets it end even when the caller is cancelled, who then closes the file: the number of its descriptor
    may be another file's at once."""
    running = asyncio.get_running_loop().run_in_executor(None, work, *arguments)
    try:
        await asyncio.shield(running)
    finally:
        while not running.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([running])


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
