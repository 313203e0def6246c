"""Who is let in: the token on every route, the Host, the size of a body."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import tracemalloc
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from fastapi import FastAPI
from tests.http.conftest import TOKEN, app_of
from tests.http.problems import assert_problem
from tests.support.master_rig import Rig

from silkmill.adapters.http.app import NOUNS
from silkmill.adapters.store.memory import MemoryStore

OPEN = {"/healthz", "/readyz", "/api/v1/healthz", "/api/v1/readyz"}


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    for path, methods in app.openapi()["paths"].items():
        yield from ((method.upper(), path) for method in methods)


ROUTES = sorted(routes(app_of(Rig(MemoryStore()))))


def test_nothing_is_beside_the_closed_routers_and_the_probes(app: FastAPI) -> None:
    """All are included routers; what is added to the application itself would be open."""
    assert len(app.routes) == len(NOUNS) + 2


def test_there_are_routes() -> None:
    assert len(ROUTES) > 20
    assert {path for _, path in ROUTES} >= OPEN | {"/api/v1/tasks", "/api/v1/blobs/{sha256}"}


@pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if route[1] not in OPEN])
@pytest.mark.parametrize("given", [None, "Bearer wrong", f"Basic {TOKEN}", "Bearer", f"Bearer {TOKEN}x"])
async def test_a_route_is_closed_without_the_token(
    http: httpx.AsyncClient, method: str, path: str, given: str | None
) -> None:
    del http.headers["authorization"]
    headers = {} if given is None else {"Authorization": given}
    async with asyncio.timeout(10):  # an event stream that is let in has no end
        answer = await http.request(method, path, headers=headers)
    assert_problem(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", sorted(OPEN))
async def test_probes_are_open(http: httpx.AsyncClient, path: str) -> None:
    del http.headers["authorization"]
    assert (await http.get(path)).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:6810", "127.0.0.1.evil.example", "", "[::2]:80"]
)
async def test_a_foreign_host_is_refused(http: httpx.AsyncClient, host: str) -> None:
    assert_problem(await http.get("/api/v1/tasks", headers={"Host": host}), 421, "Host")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:6810", "localhost:99", "[::1]:6810", "LOCALHOST"])
async def test_the_loopback_has_several_names(http: httpx.AsyncClient, host: str) -> None:
    assert (await http.get("/api/v1/tasks", headers={"Host": host})).status_code == 200


async def test_a_body_over_the_limit_is_refused(http: httpx.AsyncClient) -> None:
    assert_problem(await http.post("/api/v1/tasks", content=b"x" * (4 << 20) + b"x"), 413)


async def test_a_body_of_unknown_length_is_cut_off(http: httpx.AsyncClient) -> None:
    taken = 0

    async def endless():  # type: ignore[no-untyped-def]
        nonlocal taken
        for _ in range(100):
            taken += 1
            yield b"x" * (1 << 20)

    assert_problem(await http.post("/api/v1/tasks", content=endless()), 413)


GZIP = {"Content-Encoding": "gzip"}


async def in_pieces(content: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


@pytest.mark.parametrize(("size", "count"), [(1, 5), (1_000, 9_000), (1 << 20, 9_000)])
async def test_a_body_may_come_as_gzip_in_pieces_of_any_size(
    http: httpx.AsyncClient, size: int, count: int
) -> None:
    shas = [hashlib.sha256(b"%d" % number).hexdigest() for number in range(count)]
    body = gzip.compress(json.dumps({"sha256": shas}).encode())
    answer = await http.post("/api/v1/blobs/missing", content=in_pieces(body, size), headers=GZIP)
    assert answer.json()["missing"] == shas


async def test_gzip_that_becomes_too_much_is_cut_off_where_it_does(http: httpx.AsyncClient) -> None:
    bomb = gzip.compress(bytes(1 << 30), 1)
    assert len(bomb) < 5 << 20
    tracemalloc.start()
    try:
        assert_problem(await http.post("/api/v1/versions", content=bomb, headers=GZIP), 413)
        assert tracemalloc.get_traced_memory()[1] < 200 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", gzip.compress(b"{}")[:-1], gzip.compress(b"{}") + b"x", gzip.compress(b"{}") * 2],
    ids=["empty", "plain", "cut", "followed", "twice"],
)
async def test_what_is_no_gzip_is_refused(http: httpx.AsyncClient, body: bytes) -> None:
    answer = await http.post("/api/v1/versions", content=body, headers=GZIP)
    assert_problem(answer, 422, "Content-Encoding")


async def test_another_coding_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.post("/api/v1/versions", content=b"{}", headers={"Content-Encoding": "br"})
    assert_problem(answer, 415, "Content-Encoding")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/api/v1/nothing", 404), ("GET", "/", 404), ("DELETE", "/api/v1/tasks", 405)],
)
async def test_unknown_routes_are_problems_too(
    http: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    assert_problem(await http.request(method, path), status)


async def test_a_defect_is_a_problem_and_tells_no_secret(http: httpx.AsyncClient, app: FastAPI) -> None:
    app.state.parts = None
    problem = assert_problem(await http.get("/api/v1/tasks"), 500)
    assert TOKEN not in str(problem)
