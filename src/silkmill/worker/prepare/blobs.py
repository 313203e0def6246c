"""The node's cache of file contents, by hash: what one attempt fetched serves all."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from silkmill.domain.errors import NotFound
from silkmill.domain.version import FileEntry
from silkmill.worker.prepare.errors import PreparationFailed

Fetch = Callable[[str], Awaitable[bytes]]
"""Brings the bytes of a blob from the master, however long it takes. Raises NotFound."""


class BlobCache:
    """Files `<folder>/<sha256>`; one that is there is whole and has been verified."""

    def __init__(self, folder: Path, fetch: Fetch) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = str(folder)
        self._fetch = fetch

    def path(self, sha256: str) -> str:
        return f"{self._folder}/{sha256}"

    def lacks(self, entry: FileEntry) -> bool:
        """Absent, or not as long as it should be."""
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
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            raise PreparationFailed(f"file {entry.path}: what came is not the content of {entry.sha256}")
        self._store(entry.sha256, data)

    def _store(self, sha256: str, data: bytes) -> None:
        temporary = f"{self.path(sha256)}.{os.urandom(4).hex()}.new"
        try:
            with open(temporary, "xb") as file:
                file.write(data)
            os.rename(temporary, self.path(sha256))  # noqa: PTH104
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108
            raise
