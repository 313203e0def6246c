"""Nodes: the machines that run spiders, and whether they are lost."""

from __future__ import annotations

from typing import Annotated, TypedDict

from fastapi import APIRouter
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from silkmill.adapters.http.answers import answer
from silkmill.adapters.http.pages import MOST, Cursor, Limit, Page, page_of
from silkmill.adapters.http.parts import parts_of
from silkmill.adapters.http.times import Time
from silkmill.adapters.http.told import told
from silkmill.domain.node import Node
from silkmill.master.records import every_record

router = APIRouter(prefix="/nodes")


class NodeShape(TypedDict):
    id: str
    name: str
    lost: bool
    embedded: Annotated[bool, Meta(description="Inside the server itself.")]
    max_runners: int
    labels: dict[str, str]
    registered_at: Time


class NodeList(Page):
    nodes: list[NodeShape]


@router.get("", **told("List nodes", NodeList))
async def every(request: Request, cursor: Cursor = None, limit: Limit = MOST) -> Response:
    """The machines that run spiders."""
    stored = [node async for node in every_record(parts_of(request).store, Node)]
    found, following = page_of(stored, lambda node: node.key, cursor, limit)
    return answer(NodeList(nodes=[_view(node.value) for node in found], next=following))


def _view(node: Node) -> NodeShape:
    return {
        "id": node.id,
        "name": node.name,
        "lost": node.lost,
        "embedded": node.embedded,
        "max_runners": node.max_runners,
        "labels": node.labels,
        "registered_at": node.registered_at,
    }
