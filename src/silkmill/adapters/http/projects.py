"""Projects: how many tasks of all their spiders may run at once."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from silkmill.adapters.http.answers import answer
from silkmill.adapters.http.bodies import read_body
from silkmill.adapters.http.names import ProjectName
from silkmill.adapters.http.pages import MOST, Cursor, Limit, Page, page_of
from silkmill.adapters.http.parts import parts_of
from silkmill.adapters.http.told import told
from silkmill.domain.project import Project

router = APIRouter(prefix="/projects")


class ProjectBody(msgspec.Struct, forbid_unknown_fields=True):
    max_concurrency: Annotated[int, Meta(description="Tasks at once; 0 is no limit.")]


class ProjectList(Page):
    projects: list[Project]


@router.get("", **told("List projects", ProjectList))
async def every(request: Request, cursor: Cursor = None, limit: Limit = MOST) -> Response:
    """Those that have a spider or a limit, by name."""
    every = await parts_of(request).projects.every()
    found, following = page_of(every, lambda project: project.name, cursor, limit)
    return answer(ProjectList(projects=found, next=following))


@router.put("/{project}", **told("Set the limit of a project", Project, body=ProjectBody))
async def replace(project: ProjectName, request: Request) -> Response:
    """For the next task that starts; what runs already runs on."""
    body = await read_body(request, ProjectBody)
    changed = await parts_of(request).projects.set(project, max_concurrency=body.max_concurrency)
    return answer(changed)
