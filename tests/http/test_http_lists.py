"""Lists over HTTP go on at their cursor, and the clients put them together."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI
from tests.http.conftest import TOKEN
from tests.support.master_rig import Rig

from silkmill.adapters.http import pages, serving
from silkmill.adapters.http.pages import page_of
from silkmill.client import AsyncClient, Client, Server
from silkmill.domain.node import Node

NAMES = ["a", "a-b", "a.b", "b"]
PLACES = [f"{project}/{name}" for project in NAMES for name in NAMES]


@pytest.mark.parametrize("newest_first", [False, True])
def test_pages_make_up_the_list_though_some_of_it_goes_meanwhile(newest_first: bool) -> None:
    """Names are in order one by one: `a/…` is before `a-b/…`, as in the list of projects."""
    there, seen, cursor = PLACES[::-1], [], None
    while True:
        shown, cursor = page_of(there, str, cursor, 3, newest_first=newest_first)
        seen += shown
        there = [place for place in there if place != shown[-1]]
        if cursor is None:
            break
    assert seen == PLACES[:: -1 if newest_first else 1]


def test_a_last_page_that_is_full_has_no_cursor() -> None:
    assert page_of("ab", str, None, 2) == (["a", "b"], None)
    assert page_of("", str, None, 2) == ([], None)


@pytest.fixture
async def lists(rig: Rig, http: httpx.AsyncClient) -> dict[str, int]:
    """The lists, and how much is in each."""
    for number in range(5):
        name = f"s{number}"
        await rig.deploy_spider(f'name = "{name}"\nproject = "p{number}"\ncommand = "true"\n')
        await rig.deploy_spider(f'name = "s0"\nproject = "p0"\ncommand = "echo {number}"\n')
        rig.clock.pass_time(1)
        body = {"project": "p0", "spider": "s0", "name": name, "cron": "0 1 * * *"}
        assert (await http.post("/api/v1/schedules", json=body)).is_success
        await rig.store.insert_record(name, Node(name, name, "session", 1, "boot", rig.clock.now()))
    return {"spiders": 5, "projects": 5, "nodes": 5, "schedules": 5, "spiders/p0/s0/versions": 6}


async def test_every_list_has_pages(http: httpx.AsyncClient, lists: dict[str, int]) -> None:
    for path, count in lists.items():
        name = path.rpartition("/")[2]
        whole = (await http.get(f"/api/v1/{path}")).json()
        assert (len(whole[name]), whole["next"]) == (count, None), path
        found, cursor = [], None
        for _ in range(count):
            query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
            page = (await http.get(f"/api/v1/{path}", params=query)).json()
            assert len(page[name]) <= 2
            found, cursor = found + page[name], page["next"]
            if cursor is None:
                break
        assert found == whole[name], path


async def test_the_clients_read_all_pages(
    app: FastAPI, lists: dict[str, int], monkeypatch: pytest.MonkeyPatch, client: AsyncClient
) -> None:
    def page_of_two(*given: object, **named: object) -> object:
        return pages.page_of(*given[:3], 2, **named)  # type: ignore[arg-type]

    for noun in ("spiders", "projects", "nodes", "schedules"):
        monkeypatch.setattr(f"silkmill.adapters.http.{noun}.page_of", page_of_two)
    async with serving(app, "127.0.0.1", 0) as url:
        with Client(Server(url, TOKEN)) as sync:
            for one, other in (
                (sync.spiders, client.spiders),
                (sync.projects, client.projects),
                (sync.nodes, client.nodes),
            ):
                assert len(found := await asyncio.to_thread(one)) == 5
                assert found == await other()
            schedules = await asyncio.to_thread(sync.schedules)
            assert (len(schedules["schedules"]), schedules["paused_since"]) == (5, None)
            assert schedules == await client.schedules()
            versions = await asyncio.to_thread(sync.versions, "p0", "s0")
            assert len(versions) == 6
            assert versions == await client.versions("p0", "s0")
