"""Bytes that come in pieces of any size, in pieces of one size."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable


async def in_pieces(content: AsyncIterable[bytes], size: int) -> AsyncGenerator[bytes]:
    """Pieces of `size` bytes and a last one that is shorter, and may be empty."""
    held = bytearray()
    async for piece in content:
        held += piece
        while len(held) >= size:
            yield bytes(held[:size])
            del held[:size]
    yield bytes(held)
