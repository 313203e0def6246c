"""Bytes by name: spider files and logs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol


class Bucket(Protocol):
    """Objects are immutable and durable once `put` has returned. Every method raises Unavailable when the
    bucket is away or full; then nothing was stored under that name, or all of it was."""

    async def put(self, name: str, data: bytes) -> None:
        """Store a whole object. A repeat with equal bytes is harmless."""

    async def put_stream(self, name: str, pieces: AsyncIterator[bytes]) -> None:
        """`put` for an object larger than memory; what `pieces` raises is passed on and nothing is stored."""

    async def get(self, name: str) -> bytes:
        """The whole object. Raises NotFound."""

    async def get_range(self, name: str, start: int, length: int) -> bytes:
        """At most `length` bytes from `start`; shorter at the end. Raises NotFound."""

    async def size(self, name: str) -> int:
        """Bytes of the object. Raises NotFound."""

    async def names(self, prefix: str) -> list[str]:
        """Names under a prefix that ends with `/`, sorted as text."""

    async def delete(self, names: list[str]) -> None:
        """Delete objects; those that do not exist are passed over."""
