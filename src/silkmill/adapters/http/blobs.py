"""File contents by hash: which are missing, and bringing them."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from silkmill.adapters.http.answers import answer
from silkmill.adapters.http.bodies import read_body
from silkmill.adapters.http.parts import parts_of

router = APIRouter(prefix="/blobs")


class Hashes(msgspec.Struct, forbid_unknown_fields=True):
    sha256: list[str]


@router.post("/missing")
async def missing(request: Request) -> Response:
    wanted = await read_body(request, Hashes)
    return answer({"missing": await parts_of(request).uploads.missing(wanted.sha256)})


@router.put("/{sha256}")
async def put(sha256: str, request: Request) -> Response:
    await parts_of(request).uploads.put_blob_stream(sha256, request.stream())
    return Response(status_code=204)
