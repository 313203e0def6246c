"""The node's cache of file contents, by hash: what one attempt fetched serves all."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

from silkmill.domain.errors import NotFound
from silkmill.domain.version import FileEntry
from silkmill.worker.prepare.errors import PreparationFailed

Fetch = Callable[[str], Awaitable[bytes]]
"""Brings the bytes of a blob from the master, however long it takes. Raises NotFound."""
_SMALL_BYTES = 256 * 1024
_RECENT_BYTES = 4 << 20


class BlobCache:
    """Files `<folder>/<sha256>`; one that is there is whole and has been verified."""

    def __init__(self, folder: Path, fetch: Fetch) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = str(folder)
        self._fetch = fetch
        self._recent: dict[str, bytes] = {}
        self._recent_bytes = 0
        self._remembering = threading.Lock()  # large versions are copied by threads

    def path(self, sha256: str) -> str:
        return f"{self._folder}/{sha256}"

    def lacks(self, entry: FileEntry) -> bool:
        """Absent, or not as long as it should be."""
        if entry.sha256 in self._recent:
            return False
        try:
            return os.stat(self.path(entry.sha256)).st_size != entry.size  # noqa: PTH116
        except FileNotFoundError:
            return True

    async def bring(self, entry: FileEntry) -> None:
        """Fetch and verify one blob. Raises PreparationFailed, OSError."""
        try:
            data = await self._fetch(entry.sha256)
        except NotFound as error:
            raise PreparationFailed(f"file {entry.path}: {error}", permanent=True) from error
        if len(data) <= _SMALL_BYTES:
            self._store(entry, data)
        else:
            await asyncio.to_thread(self._store, entry, data)

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

    def _store(self, entry: FileEntry, data: bytes) -> None:
        sha256 = entry.sha256
        if hashlib.sha256(data).hexdigest() != sha256:
            raise PreparationFailed(f"file {entry.path}: what came is not the content of {sha256}")
        temporary = f"{self.path(sha256)}.{os.urandom(4).hex()}.new"
        try:
            with open(temporary, "xb") as file:
                file.write(data)
            os.rename(temporary, self.path(sha256))  # noqa: PTH104
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108
            raise
