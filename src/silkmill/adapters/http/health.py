"""Probes: alive, and able to take a task."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from silkmill.adapters.http.answers import answer
from silkmill.adapters.http.parts import parts_of

router = APIRouter()


@router.get("/healthz")
async def healthz() -> Response:
    return answer({"status": "ok"})


@router.get("/readyz")
async def readyz(request: Request) -> Response:
    """One committed write to the store; 503 with the cause when it takes none."""
    await parts_of(request).store.ping()
    return answer({"status": "ready"})
