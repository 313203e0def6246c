"""The node's cache of file contents, by hash: what one attempt fetched serves all."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from silkmill.domain.errors import NotFound
from silkmill.domain.version import FileEntry
from silkmill.worker.prepare.errors import PreparationFailed
from silkmill.worker.prepare.room import Room

Fetch = Callable[[str], AsyncIterator[bytes]]
"""Brings the bytes of a blob from the master, however long it takes. Raises NotFound."""
_SMALL_BYTES = 256 * 1024
_RECENT_BYTES = 4 << 20
_TOUCH_SECONDS = 3600.0
_UNFINISHED = ".new"


class BlobCache:
    """Files `<folder>/<sha256>`; one that is there is whole and has been verified.

    Above `limit_bytes` those go that were not used for longest; the time of a file says, roughly, when it
    was, so that the next agent knows it too."""

    def __init__(self, folder: Path, fetch: Fetch, limit_bytes: int) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = str(folder)
        self._fetch = fetch
        self._room = Room(limit_bytes)
        self._recent: dict[str, bytes] = {}
        self._recent_bytes = 0
        self._remembering = threading.Lock()  # large versions are copied by threads
        self._take_stock()

    def path(self, sha256: str) -> str:
        return f"{self._folder}/{sha256}"

    @contextmanager
    def holding(self, entries: Sequence[FileEntry]) -> Iterator[None]:
        """Inside, what is there or is brought of them stays."""
        try:
            with self._room.holding(entry.sha256 for entry in entries):
                yield
        finally:
            self._make_room()

    def lacks(self, entry: FileEntry) -> bool:
        """Absent, or not as long as it should be. What is there counts as used."""
        if entry.sha256 not in self._recent and not self._is_on_disk(entry):
            return True
        self._room.use(entry.sha256, entry.size)
        return False

    def _is_on_disk(self, entry: FileEntry) -> bool:
        path = self.path(entry.sha256)
        try:
            found = os.stat(path)  # noqa: PTH116
        except FileNotFoundError:
            return False
        if found.st_size == entry.size and time.time() - found.st_mtime > _TOUCH_SECONDS:
            os.utime(path)
        return found.st_size == entry.size

    async def bring(self, entry: FileEntry) -> None:
        """Fetch and verify one blob. Raises PreparationFailed, OSError."""
        try:
            await self._receive(entry)
        except NotFound as error:
            raise PreparationFailed(f"file {entry.path}: {error}", permanent=True) from error
        self._room.use(entry.sha256, entry.size)
        self._make_room()

    async def _receive(self, entry: FileEntry) -> None:
        temporary = f"{self.path(entry.sha256)}.{os.urandom(4).hex()}{_UNFINISHED}"
        digest = hashlib.sha256()
        try:
            with open(temporary, "xb") as file:
                async for piece in self._fetch(entry.sha256):
                    if len(piece) <= _SMALL_BYTES:
                        _append(file, digest, piece)
                    else:
                        await asyncio.to_thread(_append, file, digest, piece)
            if digest.hexdigest() != entry.sha256:
                raise PreparationFailed(f"file {entry.path}: what came is not the content of {entry.sha256}")
            os.rename(temporary, self.path(entry.sha256))  # noqa: PTH104
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108
            raise

    def content(self, entry: FileEntry) -> bytes:
        """The bytes of a small file, which are held in memory while there is room. Raises OSError."""
        data = self._recent.get(entry.sha256)
        if data is None:
            with open(self.path(entry.sha256), "rb", buffering=0) as file:
                data = file.read()
            self._remember(entry.sha256, data)
        return data

    def _remember(self, sha256: str, data: bytes) -> None:
        with self._remembering:
            if sha256 not in self._recent:
                self._recent[sha256] = data
                self._recent_bytes += len(data)
            while self._recent_bytes > _RECENT_BYTES:
                oldest = next(iter(self._recent))
                self._recent_bytes -= len(self._recent.pop(oldest))

    def _take_stock(self) -> None:
        """What an earlier agent has left, in the order of its use."""
        found = []
        for file in os.scandir(self._folder):
            if file.name.endswith(_UNFINISHED):
                os.unlink(file.path)  # noqa: PTH108
            else:
                status = file.stat(follow_symlinks=False)
                found.append((status.st_mtime, file.name, status.st_size))
        for _, name, size in sorted(found):
            self._room.use(name, size)
        self._make_room()

    def _make_room(self) -> None:
        for sha256 in self._room.surplus():
            with self._remembering:
                self._recent_bytes -= len(self._recent.pop(sha256, b""))
            with suppress(FileNotFoundError):
                os.unlink(self.path(sha256))  # noqa: PTH108


def _append(file: BinaryIO, digest: hashlib._Hash, piece: bytes) -> None:
    file.write(piece)
    digest.update(piece)
