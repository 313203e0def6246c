"""Spiders, and the versions that define them."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from silkmill.adapters.http.answers import answer
from silkmill.adapters.http.parts import parts_of
from silkmill.adapters.http.versions import version_view
from silkmill.domain.errors import NotFound
from silkmill.domain.spider import Spider
from silkmill.domain.version import Version
from silkmill.master.records import every_record
from silkmill.ports.store import Store

router = APIRouter(prefix="/spiders")


@router.get("")
async def every(request: Request) -> Response:
    found = [stored.value async for stored in every_record(parts_of(request).store, Spider)]
    return answer({"spiders": sorted(found, key=lambda spider: (spider.project, spider.name))})


@router.get("/{project}/{name}")
async def one(project: str, name: str, request: Request) -> Response:
    """The spider with the configuration of the version it points to."""
    store = parts_of(request).store
    spider = await _spider(store, project, name)
    version = await store.record(Version, spider.version)
    config = version.value.spiders.get(name) if version else None
    return answer({"project": project, "name": name, "version": spider.version, "config": config})


@router.get("/{project}/{name}/versions")
async def versions(project: str, name: str, request: Request) -> Response:
    """Newest first; `current` is the one new tasks get."""
    store = parts_of(request).store
    current = (await _spider(store, project, name)).version
    defining = [
        stored.value
        async for stored in every_record(store, Version)
        if stored.value.project == project and name in stored.value.spiders
    ]
    defining.sort(key=lambda version: version.created_at, reverse=True)
    return answer({"versions": [version_view(v) | {"current": v.id == current} for v in defining]})


async def _spider(store: Store, project: str, name: str) -> Spider:
    stored = await store.record(Spider, f"{project}/{name}")
    if stored is None:
        raise NotFound("spider", f"{project}/{name}", remedy="deploy its folder with `silkmill deploy PATH`")
    return stored.value
