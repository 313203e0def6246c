"""File contents by hash: which are missing, and bringing them."""

from __future__ import annotations

from typing import Annotated, TypedDict

import msgspec
from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from silkmill.adapters.http.answers import answer
from silkmill.adapters.http.bodies import read_body
from silkmill.adapters.http.parts import parts_of
from silkmill.adapters.http.told import BINARY, told

router = APIRouter(prefix="/blobs")


class Hashes(msgspec.Struct, forbid_unknown_fields=True):
    sha256: list[str]


class MissingBlobs(TypedDict):
    missing: list[str]


@router.post("/missing", **told("Which contents are missing", MissingBlobs, body=Hashes))
async def missing(request: Request) -> Response:
    """Those that are there are kept for the version that is about to be made, for 12 hours."""
    wanted = await read_body(request, Hashes)
    return answer(MissingBlobs(missing=await parts_of(request).uploads.missing(wanted.sha256)))


@router.put("/{sha256}", **told("Bring the content of a file", status=204, body=BINARY))
async def put(
    sha256: Annotated[str, Path(description="Of the content, in hexadecimal digits.")], request: Request
) -> Response:
    """204, also when it is there already. 422 when it has another hash."""
    await parts_of(request).uploads.put_blob_stream(sha256, request.stream())
    return Response(status_code=204)
