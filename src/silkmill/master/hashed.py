"""Content that says its own name: checked against its SHA-256 as it passes."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterable, AsyncIterator

from silkmill.domain.errors import BadInput

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


class Hashed:
    """Content that must have a certain SHA-256. `size` counts its bytes."""

    def __init__(self, sha256: str, first: bytes) -> None:
        """Raises BadInput for what is no hash."""
        self._sha256, self._first = check_sha(sha256), first
        self._hash = hashlib.sha256(first)
        self.size = len(first)

    async def over(self, rest: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        """Pass all pieces on, then check. Hashed in a thread, which the event loop runs beside."""
        yield self._first
        async for piece in rest:
            await asyncio.to_thread(self._hash.update, piece)
            self.size += len(piece)
            yield piece
        self.check()

    def check(self) -> None:
        if self._hash.hexdigest() != self._sha256:
            raise BadInput("the content has another SHA-256", field="sha256", remedy="upload it again")


def check_sha(sha: str) -> str:
    if not _SHA256.match(sha):
        raise BadInput(f"{sha!r} is not a SHA-256", field="sha256", remedy="give 64 hexadecimal digits")
    return sha
