"""Versions: made from a manifest whose contents were put before."""

from __future__ import annotations

from typing import Annotated, TypedDict

import msgspec
from fastapi import APIRouter
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from silkmill.adapters.http.answers import answer
from silkmill.adapters.http.bodies import read_body
from silkmill.adapters.http.names import ProjectName, SpiderName, VersionId
from silkmill.adapters.http.parts import parts_of
from silkmill.adapters.http.times import Time
from silkmill.adapters.http.told import told
from silkmill.domain.version import FileEntry
from silkmill.domain.version_diff import VersionDiff, diff
from silkmill.master.deploy import Deployed

router = APIRouter()


class Manifest(msgspec.Struct, forbid_unknown_fields=True):
    """The files of a folder, whose contents were put before."""

    files: list[FileEntry]
    project: Annotated[
        str | None, Meta(description="Must be that of the spider.toml, where both say one.")
    ] = None


class VersionShape(TypedDict):
    id: str
    project: str
    spiders: list[str]
    files: Annotated[int, Meta(description="How many.")]
    bytes: int
    created_at: Time
    listing: Annotated[
        str | None, Meta(description="The task that finds its spiders; it has none before that ends.")
    ]


@router.post("/versions", **told("Make a version of files", VersionShape, status=201, body=Manifest))
async def create(request: Request) -> Response:
    """All or nothing: the spider.toml among the files is checked first, then its spiders point to it."""
    manifest = await read_body(request, Manifest)
    deployed = await parts_of(request).deploy.create_version(manifest.project, manifest.files)
    return answer(deployed_view(deployed), 201)


@router.post(
    "/spiders/{project}/{name}/versions",
    **told("Make a version of a spider's files", VersionShape, status=201, body=Manifest),
)
async def create_of_spider(project: ProjectName, name: SpiderName, request: Request) -> Response:
    """The same for a spider that the caller knows by name: a folder of another one is refused."""
    manifest = await read_body(request, Manifest)
    deployed = await parts_of(request).deploy.create_version(project, manifest.files, name)
    return answer(deployed_view(deployed), 201)


@router.get("/versions/{version}/diff/{other}", **told("Compare two versions", VersionDiff, errors=(404,)))
async def diff_of(version: VersionId, other: VersionId, request: Request) -> Response:
    """What the other version has, lacks and says differently."""
    versions = parts_of(request).versions
    old, new = await versions.get(version), await versions.get(other)
    return answer(diff(old, new))


def deployed_view(deployed: Deployed) -> VersionShape:
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
