"""A body that is sent as it is read: an error before its first piece is a problem, later it breaks off."""

from __future__ import annotations

from collections.abc import AsyncIterator

import structlog
from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from silkmill.domain.errors import SilkmillError

_log = structlog.get_logger(__name__)


async def streamed(
    pieces: AsyncIterator[bytes], media_type: str, headers: dict[str, str] | None = None
) -> Response:
    """Raises what reading the first piece raises."""
    first = await anext(pieces, b"")
    return _Streamed(_joined(first, pieces), headers=headers, media_type=media_type)


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


class _Streamed(StreamingResponse):
    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        except SilkmillError as error:
            # Its end is not sent, so nobody takes it for the whole: the server closes the connection.
            _log.warning("an answer broke off", cause=str(error))
