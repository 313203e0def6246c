"""The application: routers, the token every route needs, and what is refused before."""

from __future__ import annotations

import asyncio

from fastapi import Depends, FastAPI

from silkmill.adapters.http import (
    blobs,
    engine_log,
    events,
    health,
    items,
    log_search,
    logs,
    metrics,
    nodes,
    openapi,
    problems,
    projects,
    schedules,
    spiders,
    statistics,
    submissions,
    tasks,
    versions,
    whys,
)
from silkmill.adapters.http.auth import require_token
from silkmill.adapters.http.guard import LOOPBACK, Guard
from silkmill.adapters.http.parts import Parts

PREFIX = "/api/v1"
NOUNS = (
    submissions,
    tasks,
    logs,
    log_search,
    engine_log,
    items,
    statistics,
    whys,
    spiders,
    versions,
    blobs,
    nodes,
    openapi,
    projects,
    schedules,
    events,
    metrics,
)


def create_app(parts: Parts, token: str, *, hosts: frozenset[str] = LOOPBACK) -> FastAPI:
    """`hosts`: the names, without port, under which clients reach this server."""
    app = FastAPI(title="Silkmill", openapi_url=None, redirect_slashes=False)
    app.state.parts = parts
    app.state.token = token.encode()
    app.state.closing = asyncio.Event()
    app.state.document = None
    problems.install(app)
    app.add_middleware(Guard, hosts=hosts)
    for noun in NOUNS:
        app.include_router(noun.router, prefix=PREFIX, dependencies=[Depends(require_token)])
    app.include_router(health.router)  # open: a probe has no token
    app.include_router(health.router, prefix=PREFIX)
    return app
