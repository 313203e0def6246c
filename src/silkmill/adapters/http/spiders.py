"""Spiders, the versions that define them, and which one new tasks get."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from silkmill.adapters.http.answers import answer
from silkmill.adapters.http.bodies import read_body
from silkmill.adapters.http.parts import Parts, parts_of
from silkmill.domain.spider import Spider

router = APIRouter(prefix="/spiders")


class Choice(msgspec.Struct, forbid_unknown_fields=True):
    version: str


@router.get("")
async def every(request: Request) -> Response:
    found = await parts_of(request).spiders.every()
    return answer({"spiders": [_shown(spider) for spider in found]})


@router.get("/{project}/{name}")
async def one(project: str, name: str, request: Request) -> Response:
    """The spider with the configuration of the version it points to."""
    parts = parts_of(request)
    return await _answer(parts, await parts.versions.spider(project, name))


@router.patch("/{project}/{name}")
async def choose(project: str, name: str, request: Request) -> Response:
    """Let new tasks get another of its versions; what runs keeps its own."""
    choice = await read_body(request, Choice)
    parts = parts_of(request)
    return await _answer(parts, await parts.spiders.choose(project, name, choice.version))


@router.get("/{project}/{name}/versions")
async def versions(project: str, name: str, request: Request) -> Response:
    """Newest first; `current` is the one new tasks get."""
    parts = parts_of(request)
    current = (await parts.versions.spider(project, name)).version
    listed = [
        {
            "id": each.version,
            "current": each.version == current,
            "created_at": each.created_at,
            "files": each.files,
            "bytes": each.bytes,
        }
        for each in await parts.spiders.versions_of(project, name)
    ]
    return answer({"versions": listed})


async def _answer(parts: Parts, spider: Spider) -> Response:
    config = await parts.versions.config(spider.project, spider.name, spider.version)
    return answer(_shown(spider) | {"config": config})


def _shown(spider: Spider) -> dict[str, object]:
    return {"project": spider.project, "name": spider.name, "version": spider.version}
