"""What is refused before any route looks at it: a foreign Host, a body too large or packed otherwise."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from silkmill.adapters.http.problems import Refusal, problem
from silkmill.adapters.http.unpacked import Unpacked

MIB = 1 << 20
BODY_LIMIT = 4 * MIB
BODY_LIMITS = {
    "/api/v1/tasks/bulk": 256 * MIB,
    "/api/v1/blobs/missing": 64 * MIB,
    "/api/v1/versions": 64 * MIB,
}
BLOB_LIMIT = 512 * MIB
SMALLER = "send it in several requests, or leave large files out"
CODINGS = ("identity", "gzip")
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


class Guard:
    """A page of another site that has its own name resolve to the loopback (DNS rebinding) still sends its
    own Host: only the names under which this server is known are answered."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str] = LOOPBACK) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        limit = _limit(scope["path"])
        if refused := self._refusal(headers, limit):
            await refused(scope, receive, send)
            return
        plain = Unpacked(receive) if _coding(headers) == "gzip" else receive
        await self._app(scope, _counted(plain, limit), send)

    def _refusal(self, headers: dict[bytes, bytes], limit: int) -> Response | None:
        host = _without_port(headers.get(b"host", b"").decode("latin-1"))
        if host not in self._hosts:
            detail = f"this server is not known as {host!r}"
            return problem(421, detail, field="Host", remedy="use the address `up` printed")
        if _declared(headers.get(b"content-length", b"0")) > limit:
            return problem(413, f"the body is over {limit // MIB} MiB", remedy=SMALLER)
        coding = _coding(headers)
        if coding not in CODINGS:
            detail = f"a body packed as {coding!r} is not taken"
            return problem(415, detail, field="Content-Encoding", remedy="send it as gzip, or as it is")
        return None


def _counted(receive: Receive, limit: int) -> Receive:
    """A body without a declared length, or a packed one, is cut off where it passes the limit."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise Refusal(413, f"the body is over {limit // MIB} MiB", remedy=SMALLER)
        return message

    return counted


def _limit(path: str) -> int:
    if path in BODY_LIMITS:
        return BODY_LIMITS[path]
    return BLOB_LIMIT if path.startswith("/api/v1/blobs/") else BODY_LIMIT


def _coding(headers: dict[bytes, bytes]) -> str:
    return headers.get(b"content-encoding", b"identity").decode("latin-1").lower()


def _declared(length: bytes) -> int:
    return int(length) if length.isdigit() else 0


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()
