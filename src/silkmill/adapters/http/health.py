"""Probes: alive, and able to take a task."""

from __future__ import annotations

from typing import TypedDict

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from silkmill.adapters.http.answers import answer
from silkmill.adapters.http.parts import parts_of
from silkmill.adapters.http.told import told

router = APIRouter()


class Health(TypedDict):
    status: str


@router.get("/healthz", **told("Is the process alive", Health, alone=True))
async def healthz() -> Response:
    """200 while the process answers."""
    return answer(Health(status="ok"))


@router.get("/readyz", **told("Can it take a task", Health))
async def readyz(request: Request) -> Response:
    """One committed write to the store; 503 with the cause when it takes none."""
    await parts_of(request).store.ping()
    return answer(Health(status="ready"))
