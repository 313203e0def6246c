"""Versions: made from a manifest whose contents were put before."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from silkmill.adapters.http.answers import answer
from silkmill.adapters.http.bodies import read_body
from silkmill.adapters.http.parts import parts_of
from silkmill.domain.version import FileEntry
from silkmill.domain.version_diff import diff
from silkmill.master.deploy import Deployed

router = APIRouter()


class Manifest(msgspec.Struct, forbid_unknown_fields=True):
    files: list[FileEntry]
    project: str | None = None


@router.post("/versions")
async def create(request: Request) -> Response:
    """All or nothing: the spider.toml among the files is checked first, then its spiders point to it."""
    manifest = await read_body(request, Manifest)
    deployed = await parts_of(request).deploy.create_version(manifest.project, manifest.files)
    return answer(deployed_view(deployed), 201)


@router.post("/spiders/{project}/{name}/versions")
async def create_of_spider(project: str, name: str, request: Request) -> Response:
    """The same for a spider that the caller knows by name: a folder of another one is refused."""
    manifest = await read_body(request, Manifest)
    deployed = await parts_of(request).deploy.create_version(project, manifest.files, name)
    return answer(deployed_view(deployed), 201)


@router.get("/versions/{version}/diff/{other}")
async def diff_of(version: str, other: str, request: Request) -> Response:
    """What the other version has, lacks and says differently."""
    versions = parts_of(request).versions
    old, new = await versions.get(version), await versions.get(other)
    return answer(diff(old, new))


def deployed_view(deployed: Deployed) -> dict[str, Any]:
    version = deployed.version
    return {
        "id": version.id,
        "project": version.project,
        "spiders": sorted(version.spiders),
        "files": len(version.files),
        "bytes": version.bytes,
        "created_at": version.created_at,
        "listing": deployed.listing,
    }
