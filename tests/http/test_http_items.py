"""Items over HTTP: exactly as saved, in three formats, page by page."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc

import httpx
import pytest
from tests.http.problems import assert_problem
from tests.support.master_rig import Agent, Rig

from silkmill.client import AsyncClient

LONG = "9" * 6000
ITEMS = [
    b'{"n": 1234567890123456789, "text": "a,\\"b\\""}',
    b"{}",
    b'{"n":' + LONG.encode() + b', "deep": {"x": [1, null]}, "none": null}',
    '{"text": "=cmd|\u2028", "n": -1.50, "@name": true}'.encode(),
]


@pytest.fixture
async def task_id(rig: Rig, agent: Agent, version: str) -> str:
    task = await rig.submit()
    await agent.items(await agent.started(), ITEMS)
    return task.id


async def read(client: AsyncClient, task_id: str, **which: object) -> bytes:
    return b"".join([piece async for piece in client.items(task_id, **which)])


async def test_json_lines_are_the_items_byte_for_byte(client: AsyncClient, task_id: str) -> None:
    assert await read(client, task_id) == b"".join(item + b"\n" for item in ITEMS)


async def test_json_is_one_list_with_every_digit(client: AsyncClient, task_id: str) -> None:
    text = await read(client, task_id, format="json")
    assert all(item in text for item in ITEMS)
    assert json.loads(text, parse_int=str)[2]["n"] == LONG


async def test_csv_has_a_column_for_every_key_and_starts_no_formula(
    client: AsyncClient, task_id: str
) -> None:
    rows = list(csv.reader(io.StringIO((await read(client, task_id, format="csv")).decode(), newline="")))
    assert rows == [
        ["n", "text", "deep", "none", "'@name"],
        ["1234567890123456789", 'a,"b"', "", "", ""],
        ["", "", "", "", ""],
        [LONG, "", '{"x": [1, null]}', "", ""],
        ["-1.50", "'=cmd|\u2028", "", "", "true"],
    ]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
async def test_no_csv_cell_begins_like_a_formula(
    rig: Rig, agent: Agent, version: str, client: AsyncClient, start: str
) -> None:
    task = await rig.submit()
    await agent.items(await agent.started(), [json.dumps({"text": start + "1"}).encode()])
    text = (await read(client, task.id, format="csv")).decode()
    assert list(csv.reader(io.StringIO(text, newline="")))[1] == ["'" + start + "1"]


async def test_with_ids_adds_three_values_and_keeps_the_item(client: AsyncClient, task_id: str) -> None:
    lines = (await read(client, task_id, with_ids=True)).splitlines()
    ids = {"_tid": task_id, "_sid": "default/news", "_attempt": 1}
    assert json.loads(lines[1]) == ids
    assert lines[0].startswith(ITEMS[0][:-1])
    assert json.loads(lines[0]) == json.loads(ITEMS[0]) | ids
    rows = list(
        csv.DictReader(io.StringIO((await read(client, task_id, format="csv", with_ids=True)).decode()))
    )
    assert {row["_tid"] for row in rows} == {task_id}


async def test_the_cursor_goes_on_where_a_page_ended(http: httpx.AsyncClient, task_id: str) -> None:
    first = await http.get(f"/api/v1/tasks/{task_id}/items?limit=3")
    cursor = first.headers["silkmill-next-cursor"]
    rest = await http.get(f"/api/v1/tasks/{task_id}/items?limit=3&cursor={cursor}")
    assert (first.content + rest.content).splitlines() == ITEMS
    assert "silkmill-next-cursor" not in rest.headers


@pytest.mark.parametrize(("format", "empty"), [("jsonl", b""), ("json", b"[]\n"), ("csv", b"")])
async def test_no_items(rig: Rig, version: str, client: AsyncClient, format: str, empty: bytes) -> None:
    assert await read(client, (await rig.submit()).id, format=format) == empty


async def test_odd_values_reach_csv_too(rig: Rig, agent: Agent, version: str, client: AsyncClient) -> None:
    """Half a surrogate pair, a deep value and a repeated key are JSON as well."""
    deep = b'{"deep": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    task = await rig.submit()
    await agent.items(await agent.started(), [b'{"text": "\\ud800"}', deep, b'{"a": 1, "a": 2}', b"[1]"])
    text = (await read(client, task.id, format="csv")).decode()
    csv.field_size_limit(1 << 20)
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert rows[0]["_item"] == '{"text": "\\ud800"}'
    assert "[[[[" in (rows[1].get("deep") or "") + (rows[1].get("_item") or "")
    assert rows[2]["a"] == "2"
    assert rows[3]["_item"] == "[1]"


async def test_the_memory_of_a_reading_is_that_of_a_page(
    rig: Rig, agent: Agent, version: str, client: AsyncClient
) -> None:
    task = await rig.submit()
    ref = await agent.started()
    item = json.dumps({"text": "x" * 10_000}).encode()
    for batch in range(20):
        await agent.items(ref, [item] * 100, offset=batch * 100 * (len(item) + 1), first=batch * 100)
    from silkmill.adapters.http.item_formats import write_csv
    from silkmill.adapters.http.items import _pages

    tracemalloc.start()
    try:
        size = 0
        async for piece in write_csv(lambda: _pages(rig.store, ref, 0, 2000), None):
            size += len(piece)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert task and size > 20_000_000
    assert peak < 20_000_000


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [("format=xml", 422, "format"), ("cursor=-1", 422, "cursor"), ("attempt=3", 404, "attempt")],
)
async def test_bad_questions(
    http: httpx.AsyncClient, task_id: str, query: str, status: int, field: str
) -> None:
    assert_problem(await http.get(f"/api/v1/tasks/{task_id}/items?{query}"), status, field)
