"""Who may call: the holder of the bearer token (RFC 6750)."""

from __future__ import annotations

import hashlib
import secrets

from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.requests import Request

from silkmill.adapters.http.problems import Refusal


class _Bearer(SecurityBase):
    """The one dependency of all routers of the API: whatever is on them is closed without the token, and said
    to be so in the OpenAPI document.

    A coroutine, because FastAPI sends any other dependency through a thread."""

    scheme_name = "token"
    model = HTTPBearer(description="The `token` file in the data directory holds it.")

    async def __call__(self, request: Request) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        expected: bytes = request.app.state.token
        if scheme.lower() != "bearer" or not secrets.compare_digest(given.strip().encode(), expected):
            raise Refusal(
                401,
                "no valid token",
                remedy="send `Authorization: Bearer TOKEN`; `token` in the data directory holds it",
                headers={"WWW-Authenticate": "Bearer"},
            )


require_token = _Bearer()


def caller_of(request: Request) -> str:
    """Who sent an admitted request: the hash of its token."""
    token: bytes = request.app.state.token
    return hashlib.sha256(token).hexdigest()
