"""The log over HTTP: whole, by page, its end, filtered, raw."""

from __future__ import annotations

import httpx
import pytest
from tests.http.problems import assert_problem
from tests.support.master_rig import Agent, Rig

from silkmill.client import AsyncClient

TIME = b"2026-03-01T12:00:00.000000000Z "
FRAMES = [
    TIME + b"system F starting\n",
    TIME + b"stdout F one\n",
    TIME + b"stderr F two \xff\x00\r\n",
    TIME + b'stdout/json F {"level":"info"}\n',
    TIME + b"stdout P three",
    b"\n",
]
LOG = b"".join(FRAMES)


@pytest.fixture
async def task_id(rig: Rig, agent: Agent, version: str) -> str:
    """A running task whose log is LOG."""
    task = await rig.submit()
    await agent.log(await agent.started(), LOG)
    return task.id


async def read(client: AsyncClient, task_id: str, **which: object) -> bytes:
    return b"".join([piece async for piece in client.log(task_id, **which)])


async def test_the_whole_log_is_the_frames_as_stored(client: AsyncClient, task_id: str) -> None:
    assert await read(client, task_id) == LOG


async def test_pages_join_to_the_whole(http: httpx.AsyncClient, task_id: str) -> None:
    pages, offset = [], 0
    while True:
        answer = await http.get(f"/api/v1/tasks/{task_id}/log?offset={offset}&limit=50")
        if not answer.content:
            break
        pages.append(answer.content)
        offset = int(answer.headers["silkmill-next-offset"])
    assert b"".join(pages) == LOG
    assert offset == int(answer.headers["silkmill-log-bytes"]) == len(LOG)
    assert len(pages) > 2


@pytest.mark.parametrize("limit", [1, 10, len(FRAMES[0]) - 1, len(FRAMES[0])])
async def test_a_page_that_is_smaller_than_its_first_frame_is_that_frame(
    http: httpx.AsyncClient, task_id: str, limit: int
) -> None:
    answer = await http.get(f"/api/v1/tasks/{task_id}/log?offset=0&limit={limit}")
    assert answer.content == FRAMES[0]
    assert answer.headers["silkmill-next-offset"] == str(len(FRAMES[0]))


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        ({"raw": True}, b"one\ntwo \xff\x00\r\nthree"),
        ({"raw": True, "stream": "stdout"}, b"one\nthree"),
        ({"raw": True, "stream": "stderr"}, b"two \xff\x00\r\n"),
        ({"stream": "system"}, FRAMES[0]),
        ({"tail": 2}, LOG[len(b"".join(FRAMES[:3])) :]),
        ({"tail": 0}, b""),
        ({"tail": 1, "stream": "stderr"}, FRAMES[2]),
        ({"grep": "o[n]e"}, FRAMES[1]),
        ({"grep": "t", "tail": 1}, FRAMES[4] + FRAMES[5]),
        ({"grep": "one", "stream": "stderr"}, b""),
        ({"grep": "one", "raw": True}, b"one\n"),
        ({"offset": len(FRAMES[0])}, LOG[len(FRAMES[0]) :]),
    ],
)
async def test_what_is_asked_for(
    client: AsyncClient, task_id: str, which: dict[str, object], expected: bytes
) -> None:
    assert await read(client, task_id, **which) == expected


async def test_a_task_without_an_attempt_has_an_empty_log(
    rig: Rig, client: AsyncClient, version: str
) -> None:
    task = await rig.submit()
    assert await read(client, task.id) == b""
    assert await read(client, task.id, tail=5) == b""


async def test_a_log_that_was_lost_ends_with_the_closing_line_of_the_record(
    agent: Agent, http: httpx.AsyncClient, client: AsyncClient, task_id: str
) -> None:
    agent.boot_id = "another boot"
    await agent.register()
    closing = TIME + b"system F lost: node node-1 came back without it\n"
    assert await read(client, task_id) == LOG + closing
    assert await read(client, task_id, stream="system") == FRAMES[0] + closing
    assert await read(client, task_id, tail=1) == await read(client, task_id, grep="came b.ck") == closing
    assert await read(client, task_id, raw=True) == b"one\ntwo \xff\x00\r\nthree"
    pages = [
        await http.get(f"/api/v1/tasks/{task_id}/log?offset={offset}&limit=50000") for offset in (0, len(LOG))
    ]
    assert [page.content for page in pages] == [LOG + closing, b""]
    assert {page.headers["silkmill-next-offset"] for page in pages} == {str(len(LOG))}


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ("grep=(", 422, "grep"),
        ("stream=stdin", 422, "stream"),
        ("offset=-1", 422, "offset"),
        ("limit=0", 422, "limit"),
        ("tail=10001", 422, "tail"),
        ("tail=3&offset=0", 422, "tail"),
        ("tail=3&limit=100", 422, "tail"),
        ("attempt=0", 422, "attempt"),
        ("attempt=7", 404, "attempt"),
        ("raw=perhaps", 422, "raw"),
    ],
)
async def test_bad_questions(
    http: httpx.AsyncClient, task_id: str, query: str, status: int, field: str
) -> None:
    assert_problem(await http.get(f"/api/v1/tasks/{task_id}/log?{query}"), status, field)
