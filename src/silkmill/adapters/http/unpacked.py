"""Bodies that come as gzip, for the routes as if they had come plain."""

from __future__ import annotations

import asyncio
import zlib

from starlette.types import Message, Receive

from silkmill.domain.errors import BadInput

PIECE_BYTES = 256 * 1024
_GZIP = zlib.MAX_WBITS | 16
_FIELD = "Content-Encoding"


class Unpacked:
    """A `receive` whose messages hold the body unpacked, each at most a piece: who reads it may stop where it
    gets too much, whatever a few bytes of gzip become. Raises BadInput for a body that is no gzip."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._stream = zlib.decompressobj(_GZIP)
        self._packed, self._arrives, self._ended = b"", True, False

    async def __call__(self) -> Message:
        if self._ended:
            return await self._receive()
        await asyncio.sleep(0)  # one message may hold many pieces, and others want their turn between
        piece = self._next_piece()
        while not piece and self._arrives:
            message = await self._receive()
            if message["type"] != "http.request":
                return message
            self._packed, self._arrives = message.get("body", b""), message.get("more_body", False)
            piece = self._next_piece()
        if not piece:
            self._end()
        return {"type": "http.request", "body": piece, "more_body": not self._ended}

    def _next_piece(self) -> bytes:
        try:
            piece = self._stream.decompress(self._packed, PIECE_BYTES)
        except zlib.error as error:
            raise _bad(f"the body is not gzip: {error}") from None
        self._packed = self._stream.unconsumed_tail
        if self._stream.unused_data:  # at once: more of it would be gathered for as long as it comes
            raise _bad("the body goes on after its gzip stream")
        return piece

    def _end(self) -> None:
        if not self._stream.eof:
            raise _bad("the body ends in the middle of its gzip stream")
        self._ended = True


def _bad(detail: str) -> BadInput:
    return BadInput(detail, field=_FIELD, remedy=f"pack the body as one gzip stream, or leave {_FIELD} out")
