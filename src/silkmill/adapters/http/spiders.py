"""Spiders, the versions that define them, and which one new tasks get."""

from __future__ import annotations

from typing import Annotated, TypedDict

import msgspec
from fastapi import APIRouter
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from silkmill.adapters.http.answers import answer
from silkmill.adapters.http.bodies import read_body
from silkmill.adapters.http.names import ProjectName, SpiderName
from silkmill.adapters.http.pages import MOST, Cursor, Limit, Page, page_of
from silkmill.adapters.http.parts import Parts, parts_of
from silkmill.adapters.http.times import Time
from silkmill.adapters.http.told import told
from silkmill.domain.spider import Spider, SpiderConfig
from silkmill.domain.version import SpiderVersion

router = APIRouter(prefix="/spiders")


class VersionChoice(msgspec.Struct, forbid_unknown_fields=True):
    version: Annotated[str, Meta(description="The id of one of the spider's versions.")]


class SpiderShape(TypedDict):
    project: str
    name: str
    version: Annotated[str, Meta(description="The one that new tasks get.")]


class ConfiguredSpider(SpiderShape):
    """With what that version says about it."""

    config: SpiderConfig


class SpiderList(Page):
    spiders: list[SpiderShape]


class ListedVersion(TypedDict):
    id: str
    current: Annotated[bool, Meta(description="New tasks get it.")]
    created_at: Time
    files: int
    bytes: int


class VersionList(Page):
    versions: list[ListedVersion]


@router.get("", **told("List spiders", SpiderList))
async def every(request: Request, cursor: Cursor = None, limit: Limit = MOST) -> Response:
    """By project and name."""
    found, following = page_of(await parts_of(request).spiders.every(), _key, cursor, limit)
    return answer(SpiderList(spiders=[_shown(spider) for spider in found], next=following))


@router.get("/{project}/{name}", **told("Read a spider", ConfiguredSpider, errors=(404,)))
async def one(project: ProjectName, name: SpiderName, request: Request) -> Response:
    """The spider with the configuration of the version it points to."""
    parts = parts_of(request)
    return await _answer(parts, await parts.versions.spider(project, name))


@router.patch(
    "/{project}/{name}",
    **told("Let new tasks get another version", ConfiguredSpider, body=VersionChoice, errors=(404,)),
)
async def choose(project: ProjectName, name: SpiderName, request: Request) -> Response:
    """Let new tasks get another of its versions; what runs keeps its own."""
    choice = await read_body(request, VersionChoice)
    parts = parts_of(request)
    return await _answer(parts, await parts.spiders.choose(project, name, choice.version))


@router.get("/{project}/{name}/versions", **told("List the versions of a spider", VersionList, errors=(404,)))
async def versions(
    project: ProjectName,
    name: SpiderName,
    request: Request,
    cursor: Cursor = None,
    limit: Limit = MOST,
) -> Response:
    """Newest first; `current` is the one new tasks get."""
    parts = parts_of(request)
    current = (await parts.versions.spider(project, name)).version
    every = await parts.spiders.versions_of(project, name)
    found, following = page_of(every, _age, cursor, limit, newest_first=True)
    listed = [
        ListedVersion(
            id=each.version,
            current=each.version == current,
            created_at=each.created_at,
            files=each.files,
            bytes=each.bytes,
        )
        for each in found
    ]
    return answer(VersionList(versions=listed, next=following))


async def _answer(parts: Parts, spider: Spider) -> Response:
    config = await parts.versions.config(spider.project, spider.name, spider.version)
    return answer(ConfiguredSpider(**_shown(spider), config=config))


def _key(spider: Spider) -> str:
    return f"{spider.project}/{spider.name}"


def _age(version: SpiderVersion) -> str:
    return f"{version.created_at:%Y%m%dT%H%M%S.%f}/{version.version}"


def _shown(spider: Spider) -> SpiderShape:
    return SpiderShape(project=spider.project, name=spider.name, version=spider.version)
