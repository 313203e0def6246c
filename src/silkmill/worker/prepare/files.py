"""The working directory of an attempt: a private copy of the version's files."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from silkmill.domain.version import FileEntry
from silkmill.worker.copies import SMALL_BYTES, Copies, is_small
from silkmill.worker.prepare.blobs import BlobCache
from silkmill.worker.prepare.errors import PreparationFailed

_FETCHES = 4
_PIECE_BYTES = 8 << 20
_FICLONE = 0x40049409  # linux/fs.h; shares the blocks of a whole file until one side writes
_NO_CLONE = {errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS}


async def copy_files(files: Sequence[FileEntry], blobs: BlobCache, work: Path, copies: Copies) -> None:
    """Fill the directory `work`, which holds `copies` and nothing else. Raises PreparationFailed, OSError.

    When cancelled it returns only after it has stopped writing, so that `work` can be removed."""
    check_paths(files)
    with blobs.holding(files):
        await _bring_missing(files, blobs)
        if is_small(files):
            _copy_all(files, blobs, str(work), copies, None)
        else:
            await _copy_in_thread(files, blobs, str(work), copies)


def check_paths(files: Sequence[FileEntry]) -> None:
    """Raises PreparationFailed for a path that leaves the directory or collides with another."""
    paths: set[str] = set()
    for entry in files:
        parts = entry.path.split("/")
        if "\0" in entry.path or any(part in ("", ".", "..") for part in parts):
            raise PreparationFailed(f"file {entry.path!r}: not a path inside the version", permanent=True)
        if entry.path in paths:
            raise PreparationFailed(f"file {entry.path!r}: listed twice", permanent=True)
        paths.add(entry.path)
    for folder in _folders(files):
        if folder in paths:
            raise PreparationFailed(f"file {folder!r}: also a folder", permanent=True)


def _folders(files: Sequence[FileEntry]) -> list[str]:
    """Every folder that is needed, parents first."""
    nested = {
        str(parent) for entry in files if "/" in entry.path for parent in PurePosixPath(entry.path).parents
    }
    return sorted(nested - {"."})


async def _bring_missing(files: Sequence[FileEntry], blobs: BlobCache) -> None:
    missing = {entry.sha256: entry for entry in files if blobs.lacks(entry)}
    if not missing:
        return
    entries = iter(missing.values())
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(_FETCHES, len(missing))):
                group.create_task(_bring_each(entries, blobs))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None


async def _bring_each(entries: Iterator[FileEntry], blobs: BlobCache) -> None:
    for entry in entries:
        await blobs.bring(entry)


async def _copy_in_thread(files: Sequence[FileEntry], blobs: BlobCache, work: str, copies: Copies) -> None:
    stop = threading.Event()
    copying = asyncio.ensure_future(asyncio.to_thread(_copy_all, files, blobs, work, copies, stop))
    try:
        await asyncio.shield(copying)
    except asyncio.CancelledError:
        stop.set()
        with contextlib.suppress(OSError):
            await copying
        raise


def _copy_all(
    files: Sequence[FileEntry], blobs: BlobCache, work: str, copies: Copies, stop: threading.Event | None
) -> None:
    copies.adapt(work, files, _folders(files), blobs)
    for entry in files:
        if stop is not None and stop.is_set():
            return
        if entry not in copies:
            _copy(blobs, entry, f"{work}/{entry.path}", copies, stop)


def _copy(
    blobs: BlobCache, entry: FileEntry, path: str, copies: Copies, stop: threading.Event | None
) -> None:
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        if entry.size <= SMALL_BYTES:
            _write(target, blobs.content(entry))
        else:
            _copy_large(blobs.path(entry.sha256), target, entry.size, stop)
        os.fchmod(target, entry.mode & 0o777)
        copies.add(entry, target)
    finally:
        os.close(target)


def _write(target: int, data: bytes) -> None:
    if os.write(target, data) < len(data):  # only a full disk stops a small write half-way
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _copy_large(source_path: str, target: int, size: int, stop: threading.Event | None) -> None:
    source = os.open(source_path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if not _clone(source, target):
            _send(source, target, size, stop)
    finally:
        os.close(source)


def _clone(source: int, target: int) -> bool:
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as error:
        if error.errno in _NO_CLONE:
            return False
        raise
    return True


def _send(source: int, target: int, size: int, stop: threading.Event | None) -> None:
    position = 0
    while position < size and not (stop is not None and stop.is_set()):
        sent = os.sendfile(target, source, position, min(_PIECE_BYTES, size - position))
        if sent == 0:
            raise OSError(errno.EIO, "the cached copy ends early")
        position += sent
