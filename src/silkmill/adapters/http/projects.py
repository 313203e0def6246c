"""Projects: how many tasks of all their spiders may run at once."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from silkmill.adapters.http.answers import answer
from silkmill.adapters.http.bodies import read_body
from silkmill.adapters.http.parts import parts_of

router = APIRouter(prefix="/projects")


class ProjectBody(msgspec.Struct, forbid_unknown_fields=True):
    max_concurrency: int


@router.get("")
async def every(request: Request) -> Response:
    """Those that have a spider or a limit, by name."""
    return answer({"projects": await parts_of(request).projects.every()})


@router.put("/{project}")
async def replace(project: str, request: Request) -> Response:
    body = await read_body(request, ProjectBody)
    changed = await parts_of(request).projects.set(project, max_concurrency=body.max_concurrency)
    return answer(changed)
