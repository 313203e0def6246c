"""Blobs, versions, spiders and nodes over HTTP."""

from __future__ import annotations

import hashlib
from typing import Any

import httpx
import pytest
from tests.http.problems import assert_problem
from tests.support.master_rig import SPIDER_TOML, Agent, Rig

from silkmill.client import AsyncClient
from silkmill.domain.errors import Unavailable


def entry(path: str, data: bytes) -> dict[str, Any]:
    return {"path": path, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "mode": 0o644}


TOML = entry("spider.toml", SPIDER_TOML.encode())


async def put(client: AsyncClient, *contents: bytes) -> None:
    for data in contents:
        await client.put_blob(hashlib.sha256(data).hexdigest(), data)


async def test_a_folder_becomes_a_version_of_its_spider(client: AsyncClient) -> None:
    main = b"print(1)\n"
    shas = [TOML["sha256"], entry("main.py", main)["sha256"]]
    assert await client.missing_blobs(shas) == shas
    await put(client, SPIDER_TOML.encode(), main)
    assert await client.missing_blobs(shas) == []
    version = await client.create_version([TOML, entry("main.py", main)])
    assert (version["project"], version["spiders"], version["files"]) == ("default", ["news"], 2)
    assert await client.spiders() == [{"project": "default", "name": "news", "version": version["id"]}]
    assert (await client.spider("default", "news"))["config"]["command"] == ["/bin/true"]


async def test_versions_of_a_spider_newest_first(rig: Rig, client: AsyncClient) -> None:
    old = await rig.deploy_spider()
    rig.clock.pass_time(1)
    new = await rig.deploy_spider(SPIDER_TOML + "priority = 1\n")
    found = await client.versions("default", "news")
    assert [(version["id"], version["current"]) for version in found] == [(new, True), (old, False)]


async def test_a_version_of_a_named_spider(http: httpx.AsyncClient, client: AsyncClient) -> None:
    await put(client, SPIDER_TOML.encode())
    made = await http.post("/api/v1/spiders/other/news/versions", json={"files": [TOML]})
    assert (made.status_code, made.json()["project"]) == (201, "other")
    wrong = await http.post("/api/v1/spiders/other/olds/versions", json={"files": [TOML]})
    assert_problem(wrong, 422, "name")
    assert [spider["name"] for spider in await client.spiders()] == ["news"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "files"),
        ({"files": []}, "files"),
        ({"files": [TOML | {"path": "../x"}]}, "files"),
        ({"files": [TOML | {"size": "x"}]}, "files[0].size"),
        ({"files": [TOML | {"sha256": "f" * 64}]}, "files"),
    ],
)
async def test_a_bad_manifest_makes_nothing(
    http: httpx.AsyncClient, client: AsyncClient, body: dict[str, Any], field: str
) -> None:
    assert_problem(await http.post("/api/v1/versions", json=body), 422, field)
    assert await client.spiders() == []


async def test_bad_blobs(http: httpx.AsyncClient) -> None:
    assert_problem(await http.put(f"/api/v1/blobs/{'0' * 64}", content=b"x"), 422, "sha256")
    assert_problem(await http.put("/api/v1/blobs/short", content=b"x"), 422, "sha256")
    assert_problem(await http.post("/api/v1/blobs/missing", json={"sha": []}), 422, "sha")
    assert_problem(await http.post("/api/v1/blobs/missing", json={"sha256": ["x"]}), 422, "sha256")


@pytest.mark.parametrize("path", ["/spiders/default/none", "/spiders/default/none/versions"])
async def test_unknown_spiders(http: httpx.AsyncClient, path: str) -> None:
    assert_problem(await http.get(f"/api/v1{path}"), 404, "spider")


async def test_nodes(rig: Rig, agent: Agent, client: AsyncClient) -> None:
    (node,) = await client.nodes()
    assert (node["id"], node["max_runners"], node["lost"]) == ("node-1", 2, False)
    assert "session" not in node


async def test_a_store_that_is_away_is_503_with_a_time_to_repeat(
    rig: Rig, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away() -> None:
        raise Unavailable("store", "disk full")

    monkeypatch.setattr(rig.store, "ping", away)
    answer = await http.get("/readyz")
    assert_problem(answer, 503, "store")
    assert int(answer.headers["retry-after"]) > 0
