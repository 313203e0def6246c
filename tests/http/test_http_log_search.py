"""Lines of all tasks of a spider, page by page; lines narrowed by level, field and time; the engine's log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.http.conftest import TOKEN, URL, app_of
from tests.http.problems import assert_problem
from tests.support.master_rig import START, Agent, Rig

from silkmill.client import AsyncClient, Server
from silkmill.domain.fields import with_fields
from silkmill.domain.task import Expiry
from silkmill.master import log_search
from silkmill.protocol.logframe import frame_line, rfc3339
from silkmill.runtime.enginelog import EngineLog

SECOND = 1_000_000_000
START_NS = int(START.timestamp()) * SECOND


def line(text: str, second: int = 0, tag: str = "stdout") -> bytes:
    return frame_line(tag.encode(), text.encode(), START_NS + second * SECOND)


def message(level: str, second: int = 0, **fields: Any) -> bytes:
    return line(json.dumps({"level": level, "message": "m", "fields": fields}), second, "stdout/json")


LOG = [
    line("INFO:root:begin", 0, "stderr"),
    message("error", 1, site="x"),
    message("error", 2, site="y"),
    message("info", 3, site="x", page=3),
    line("ERROR:root:failed", 4, "stderr"),
    line("  details", 5, "stderr"),
    message("CRITICAL", 6, site="x", page=3),
    line("hello", 7),
]


@pytest.fixture
async def task_id(rig: Rig, agent: Agent, version: str) -> str:
    task = await rig.submit()
    await agent.log(await agent.started(), b"".join(LOG))
    return task.id


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        ({"level": "error", "where": ["site=x"]}, [1, 6]),
        ({"level": "error"}, [1, 2, 4, 5, 6]),
        ({"level": "error", "stream": "stderr"}, [4, 5]),
        ({"level": "critical"}, [6]),
        ({"level": "info"}, [0, 1, 2, 3, 4, 5, 6]),
        ({"where": ["site=x"]}, [1, 3, 6]),
        ({"where": ["site=x", "page=3"]}, [3, 6]),
        ({"where": ["site=z"]}, []),
        ({"since": "2026-03-01T12:00:04Z"}, [4, 5, 6, 7]),
        ({"since": "2026-03-01T13:00:05+01:00", "level": "error"}, [5, 6]),
        ({"since": "2026-03-02T00:00:00Z"}, []),
        ({"level": "error", "tail": 2}, [5, 6]),
        ({"since": "2026-03-01T12:00:04Z", "tail": 10}, [4, 5, 6, 7]),
        ({"level": "error", "limit": 1 << 20}, [1, 2, 4, 5, 6]),
        ({"level": "error", "limit": 1 << 20, "offset": len(b"".join(LOG[:5]))}, [5, 6]),
        ({"level": "error", "grep": "d.tails"}, [5]),
    ],
)
async def test_lines_by_level_field_and_time(
    client: AsyncClient, task_id: str, which: dict[str, Any], expected: list[int]
) -> None:
    found = b"".join([piece async for piece in client.log(task_id, **which)])
    assert found == b"".join(LOG[number] for number in expected)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("level=loud", "level"),
        ("where=site", "where"),
        ("where==x", "where"),
        ("since=yesterday", "since"),
        ("since=2026-03-01T12:00:00", "since"),
    ],
)
async def test_bad_questions(http: httpx.AsyncClient, task_id: str, query: str, field: str) -> None:
    for path in (f"tasks/{task_id}/log", f"tasks/{task_id}/log/stream", "logs"):
        answer = await http.get(f"/api/v1/{path}?{query}&spider=news")
        assert_problem(answer, 422, field)


async def search(client: AsyncClient, **which: Any) -> list[tuple[str, int, str]]:
    """All lines, and that no page is longer than it was asked to be."""
    lines, cursor = [], None
    for _ in range(100):
        page = await client.search_logs("news", cursor=cursor, **which)
        assert len(page["lines"]) <= which.get("limit", 200)
        assert page["unreadable"] == []
        lines += [(line["task"], line["attempt"], line["text"]) for line in page["lines"]]
        cursor = page["next"]
        if cursor is None:
            return lines
    raise AssertionError(f"the search has no end, it is at {cursor}")


@pytest.fixture
async def tasks(rig: Rig, agent: Agent, version: str) -> list[str]:
    """Five tasks with a log each; the second one was lost with its worker and begun again, the last runs."""
    ids = []
    for number in range(5):
        rig.clock.pass_time(3600)
        ref = await agent.running()
        ids.append(ref.task_id)
        second = 3600 * (number + 1)
        await agent.log(ref, line(f"ERROR one of {number}", second) + line(f"ERROR two of {number}", second))
        if number == 1:
            agent.boot_id = "another"
            await agent.register()
            ref = await agent.started()
            await agent.log(ref, line("ERROR again", second + 1))
        if number < 4:
            await rig.link.exit(agent.session, ref)
            await agent.finish(ref)
    return ids


@pytest.mark.parametrize("limit", [1, 2, 3, 200])
async def test_all_tasks_of_a_spider_newest_first(client: AsyncClient, tasks: list[str], limit: int) -> None:
    expected = [
        (task, 1, f"ERROR {which} of {number}")
        for number, task in reversed(list(enumerate(tasks)))
        for which in ("one", "two")
    ]
    expected.insert(8, (tasks[1], 2, "ERROR again"))
    assert await search(client, level="error", limit=limit) == expected
    closing = (tasks[1], 1, "lost: node node-1 came back without it")
    assert [found for found in await search(client, limit=limit) if found == closing] == [closing]


@pytest.mark.parametrize("limit", range(1, 10))
@pytest.mark.parametrize("grep", [None, "first", "f[i]rst|ERROR"])
async def test_a_message_of_several_frames_is_given_once(
    rig: Rig, agent: Agent, client: AsyncClient, version: str, limit: int, grep: str | None
) -> None:
    long = message("error", 2, first="long " * 40_000)
    frames = [line("ERROR 0"), line("ERROR 1"), *long.splitlines(keepends=True), long, line("ERROR 2", 3)]
    await rig.submit()
    await agent.log(await agent.started(), b"".join(frames))
    whole = await client.search_logs("news", level="error", grep=grep)
    assert len(whole["lines"]) == {None: 11, "first": 2}.get(grep, 5)
    assert whole["next"] is None
    lines: list[dict[str, Any]] = []
    cursor = None
    for _ in range(12):
        page = await client.search_logs("news", level="error", grep=grep, limit=limit, cursor=cursor)
        lines += page["lines"]
        cursor = page["next"]
        if cursor is None:
            break
    assert lines == whole["lines"]


@pytest.mark.parametrize("setting", ["BYTES_AT_ONCE", "TASKS_AT_ONCE", "SECONDS_AT_ONCE"])
async def test_a_request_does_some_work_and_says_where_to_go_on(
    client: AsyncClient, tasks: list[str], setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await search(client, grep="o[n]e")
    monkeypatch.setattr(log_search, setting, 0)
    first = await client.search_logs("news", grep="nowhere at all")
    assert (first["lines"], first["next"] is not None) == ([], True)
    assert await search(client, grep="o[n]e") == whole
    assert len(whole) == 5


async def test_only_attempts_that_ended_since_are_read(
    client: AsyncClient, rig: Rig, tasks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.bucket.delete(await rig.bucket.names("logs/"))
    since = rfc3339(START_NS + 4 * 3600 * SECOND)
    assert {task for task, _, _ in await search(client, since=since, level="error")} == set(tasks[3:])
    read: list[str] = []
    original = rig.store.log_tail

    async def counted(ref: Any) -> Any:
        read.append(ref.task_id)
        return await original(ref)

    monkeypatch.setattr(rig.store, "log_tail", counted)
    await search(client, since=since)
    assert set(read) == set(tasks[2:]), "with an hour of patience for other clocks"


async def test_other_spiders_and_projects_are_left_out(client: AsyncClient, tasks: list[str]) -> None:
    assert (await client.search_logs("other"))["lines"] == []
    assert (await client.search_logs("news", project="other")) == {
        "lines": [],
        "unreadable": [],
        "next": None,
    }
    assert (await client.search_logs("other", cursor=f"{tasks[0]}.1.0"))["lines"] == []


@pytest.mark.parametrize("cursor", ["x", "0197f000-0000-7000-8000-000000000001.0.0", "a" * 36 + ".1"])
async def test_a_cursor_that_is_none(http: httpx.AsyncClient, cursor: str) -> None:
    assert_problem(await http.get(f"/api/v1/logs?spider=news&cursor={cursor}"), 422, "cursor")


async def test_a_spider_must_be_named(http: httpx.AsyncClient) -> None:
    assert_problem(await http.get("/api/v1/logs"), 422, "spider")


ENGINE = [
    {"event": "started", "level": "info", "timestamp": "2026-03-01T12:00:00.000001Z"},
    {"event": "tick failed", "level": "warning", "timestamp": "2026-03-01T12:00:01Z", "cause": "full"},
    {"event": "broken", "level": "error", "timestamp": "2026-03-01T12:00:02.5Z"},
]


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        ({}, [0, 1, 2]),
        ({"tail": 2}, [1, 2]),
        ({"tail": 0}, []),
        ({"level": "warning"}, [1, 2]),
        ({"level": "warning", "tail": 1}, [2]),
        ({"grep": "f.ll"}, [1]),
        ({"since": "2026-03-01T12:00:01Z"}, [1, 2]),
        ({"since": "2026-03-01T12:00:01Z", "level": "error"}, [2]),
    ],
)
async def test_the_log_of_the_engine(
    rig: Rig, tmp_path: Path, which: dict[str, Any], expected: list[int]
) -> None:
    (tmp_path / "silkmill.jsonl.1").write_text(json.dumps(ENGINE[0]) + "\n")
    rest = "\n".join(map(json.dumps, ENGINE[1:])) + '\n{"event": "torn'
    (tmp_path / "silkmill.jsonl").write_text(rest)
    transport = httpx.ASGITransport(app_of(rig, EngineLog(tmp_path)))
    async with AsyncClient(Server(URL, TOKEN), transport=transport) as client:
        text = b"".join([piece async for piece in client.engine_log(**which)])
    assert [json.loads(found) for found in text.splitlines()] == [ENGINE[number] for number in expected]


async def test_an_engine_without_files_has_no_log(client: AsyncClient) -> None:
    assert b"".join([piece async for piece in client.engine_log()]) == b""


async def test_what_retention_took_is_not_found_and_says_so(
    rig: Rig, client: AsyncClient, http: httpx.AsyncClient, tasks: list[str]
) -> None:
    gone = Expiry(logs_at=rig.clock.now(), items_at=rig.clock.now())
    await rig.tasks.change(tasks[0], lambda task: with_fields(task, expiry=gone))
    for path, what in (("log", "log"), ("log/stream", "log"), ("items", "items")):
        answer = await http.get(f"/api/v1/tasks/{tasks[0]}/{path}")
        assert_problem(answer, 404, what)
        assert "retention deleted it at 2026-03-01T" in answer.json()["remedy"]
    assert {task for task, _, _ in await search(client, level="error")} == set(tasks[1:])
    shown = await client.task(tasks[0])
    assert shown["log_deleted_at"] == shown["items_deleted_at"] is not None
