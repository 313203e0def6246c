"""Nodes: the machines that run spiders, and whether they are lost."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from silkmill.adapters.http.answers import answer
from silkmill.adapters.http.parts import parts_of
from silkmill.domain.node import Node

router = APIRouter(prefix="/nodes")


@router.get("")
async def every(request: Request) -> Response:
    stored = await parts_of(request).store.records(Node)
    return answer({"nodes": [_view(node.value) for node in stored]})


def _view(node: Node) -> dict[str, Any]:
    return {
        "id": node.id,
        "name": node.name,
        "lost": node.lost,
        "embedded": node.embedded,
        "max_runners": node.max_runners,
        "labels": node.labels,
        "registered_at": node.registered_at,
    }
