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
from silkmill.domain.errors import BadInput
from silkmill.domain.spider_toml import parse_spider_toml
from silkmill.domain.version import FileEntry, Version
from silkmill.master.deploy import MANIFEST, Deploy

router = APIRouter()


class Manifest(msgspec.Struct, forbid_unknown_fields=True):
    files: list[FileEntry]
    project: str | None = None


@router.post("/versions")
async def create(request: Request) -> Response:
    """All or nothing: the spider.toml among the files is checked first, then its spiders point to it."""
    manifest = await read_body(request, Manifest)
    version = await parts_of(request).deploy.create_version(manifest.project, manifest.files)
    return answer(version_view(version), 201)


@router.post("/spiders/{project}/{name}/versions")
async def create_of_spider(project: str, name: str, request: Request) -> Response:
    """The same for a spider that the caller knows by name: a folder of another one is refused."""
    manifest = await read_body(request, Manifest)
    deploy = parts_of(request).deploy
    await _check_name(deploy, manifest.files, name)
    return answer(version_view(await deploy.create_version(project, manifest.files)), 201)


async def _check_name(deploy: Deploy, files: list[FileEntry], name: str) -> None:
    for file in files:
        if file.path == MANIFEST:
            text = (await deploy.blob(file.sha256)).decode("utf-8", "replace")
            named = parse_spider_toml(text, file=MANIFEST).name
            if named != name:
                raise BadInput(f"spider.toml names {named!r}", field="name", remedy=f"deploy it as {named!r}")


def version_view(version: Version) -> dict[str, Any]:
    return {
        "id": version.id,
        "project": version.project,
        "spiders": sorted(version.spiders),
        "files": len(version.files),
        "bytes": sum(file.size for file in version.files),
        "created_at": version.created_at,
    }
