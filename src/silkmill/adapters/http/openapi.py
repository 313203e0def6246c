"""The OpenAPI document of this API."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import Response

from silkmill.adapters.http.told import told

router = APIRouter()


@router.get("/openapi.json", **told("This document", dict[str, Any], alone=True))
async def described(request: Request) -> Response:
    """Made when it is first asked for, in a thread; kept since."""
    state = request.app.state
    if state.document is None:
        state.document = await asyncio.to_thread(text_of, request.app)
    return Response(state.document, media_type="application/json")


def text_of(app: FastAPI) -> bytes:
    """As it is served, and kept in docs/openapi.json."""
    from silkmill.adapters.http.document import document  # what makes it is needed for it only

    return msgspec.json.format(msgspec.json.encode(document(app)), indent=1)
