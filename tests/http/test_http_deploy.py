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


async def test_a_version_in_the_list_has_its_size_and_age(rig: Rig, client: AsyncClient) -> None:
    made = await rig.deploy_spider()
    assert await client.versions("default", "news") == [
        {
            "id": made,
            "current": True,
            "created_at": "2026-03-01T12:00:00Z",
            "files": 1,
            "bytes": len(SPIDER_TOML),
        }
    ]


async def test_another_version_is_chosen(rig: Rig, http: httpx.AsyncClient, client: AsyncClient) -> None:
    old = await rig.deploy_spider()
    new = await rig.deploy_spider(SPIDER_TOML + "priority = 1\n")
    chosen = await client.choose_version("default", "news", old)
    assert chosen == await client.spider("default", "news")
    assert (chosen["version"], chosen["config"]["priority"]) == (old, 5)
    route = "/api/v1/spiders/default/news"
    assert_problem(await http.patch(route, json={"version": "v0"}), 404, "version")
    assert_problem(await http.patch(route, json={}), 422, "version")
    assert_problem(await http.patch(route, json={"version": new, "name": "x"}), 422, "name")
    assert_problem(await http.patch("/api/v1/spiders/x/news", json={"version": new}), 404, "spider")
    other = await rig.deploy_spider("name = 'other'\ncommand = 'true'\n")
    assert_problem(await http.patch(route, json={"version": other}), 404, "spider")
    assert (await client.spider("default", "news"))["version"] == old


async def test_what_differs_between_two_versions(
    rig: Rig, http: httpx.AsyncClient, client: AsyncClient
) -> None:
    files = {"a": b"1", "b": b"2", "spider.toml": SPIDER_TOML.encode()}
    after = {"b": b"3", "c": b"4", "spider.toml": SPIDER_TOML.encode() + b"limits.items = 5\n"}
    await put(client, *files.values(), *after.values())
    old, new = [
        (await client.create_version([entry(path, data) for path, data in side.items()]))["id"]
        for side in (files, after)
    ]
    toml = entry("spider.toml", files["spider.toml"]), entry("spider.toml", after["spider.toml"])
    assert await client.version_diff(old, new) == {
        "old": old,
        "new": new,
        "added": [entry("c", b"4")],
        "removed": [entry("a", b"1")],
        "changed": [
            {"path": "b", "old": entry("b", b"2"), "new": entry("b", b"3")},
            {"path": "spider.toml", "old": toml[0], "new": toml[1]},
        ],
        "added_spiders": [],
        "removed_spiders": [],
        "settings": [{"spider": "news", "key": "limits.items", "old": 0, "new": 5}],
    }
    assert_problem(await http.get(f"/api/v1/versions/{old}/diff/v0"), 404, "version")


async def test_several_spiders_of_one_folder(client: AsyncClient) -> None:
    toml = b"project = 'press'\ncommand = 'true'\n[spiders.news]\n[spiders.olds]\npriority = 2\n"
    await put(client, toml)
    version = await client.create_version([entry("spider.toml", toml)])
    assert version["spiders"] == ["news", "olds"]
    assert [(one["name"], one["version"]) for one in await client.spiders()] == [
        ("news", version["id"]),
        ("olds", version["id"]),
    ]
    assert (await client.spider("press", "olds"))["config"]["priority"] == 2


async def test_an_error_names_the_key_of_the_spider(http: httpx.AsyncClient, client: AsyncClient) -> None:
    toml = b"command = 'true'\n[spiders.news]\nlimits.runtime = '1'\n"
    await put(client, toml)
    made = await http.post("/api/v1/versions", json={"files": [entry("spider.toml", toml)]})
    assert_problem(made, 422, "spiders.news.limits.runtime")


async def test_an_old_answer_makes_no_version(rig: Rig, http: httpx.AsyncClient, client: AsyncClient) -> None:
    await put(client, SPIDER_TOML.encode())
    rig.clock.pass_time(13 * 3600)
    made = await http.post("/api/v1/versions", json={"files": [TOML]})
    assert_problem(made, 422, "files")
    assert await client.missing_blobs([TOML["sha256"]]) == []
    await client.create_version([TOML])


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
