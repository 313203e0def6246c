"""Tasks over HTTP: submitting, reading, listing, cancel, retry, why."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from tests.helpers import make_task
from tests.http.conftest import URL, app_of
from tests.http.problems import assert_problem
from tests.support.master_rig import Agent, Rig

from silkmill.adapters.http import create_app
from silkmill.client import AsyncClient, Problem
from silkmill.domain.placement import Placement
from silkmill.domain.states import State

SHOW = [
    *("id", "project", "spider", "version", "state", "phase", "reason", "priority", "params", "settings"),
    *("tags", "node", "attempt", "attempts", "error_class", "exit_code", "signal", "traceback", "retry_of"),
    *("next_attempt_at", "progress", "status", "stats", "items", "log_bytes", "created_at", "started_at"),
    *("finished_at", "schedule", "firing", "after", "log_deleted_at", "items_deleted_at"),
]
STATS = [
    *("wait_ms", "runtime_ms", "items", "items_per_minute", "errors", "log_lines", "log_bytes"),
    *("rss_bytes", "cpu_seconds", "processes", "read_bytes", "written_bytes"),
]
ATTEMPT = [
    *("number", "node", "phase", "outcome", "error_class", "reason", "exit_code", "signal", "accepted"),
    *("started_at", "finished_at", "items", "log_bytes"),
]


async def ended_task(rig: Rig, agent: Agent) -> str:
    task = await rig.submit()
    ref = await agent.completing()
    size = await agent.log(ref, b"2026-03-01T12:00:00.000000000Z stdout F hello\n")
    items = [b'{"n": 1}', b'{"n": 2}']
    await agent.items(ref, items)
    counted = {"progress": 0.5, "errors": 3, "log_lines": 1, "max_rss_bytes": 4096, "cpu_seconds": 0.25}
    stored = {"log_size": size, "items_size": sum(map(len, items)) + 2, "items_count": 2}
    await agent.finish(ref, **stored, **counted)
    return task.id


@pytest.fixture(autouse=True)
def deployed(version: str) -> str:
    return version


async def test_a_submitted_task_is_answered_with_201_and_can_be_read(
    http: httpx.AsyncClient, version: str
) -> None:
    answer = await http.post("/api/v1/tasks", json={"spider": "news", "priority": 2, "tags": ["a"]})
    assert answer.status_code == 201
    task = answer.json()
    assert (task["state"], task["version"], task["priority"], task["tags"]) == ("pending", version, 2, ["a"])
    assert (await http.get(answer.headers["location"])).json() == task


async def test_show_has_exactly_the_fields_of_the_contract(
    rig: Rig, agent: Agent, client: AsyncClient
) -> None:
    task = await client.task(await ended_task(rig, agent))
    assert list(task) == SHOW
    assert list(task["stats"]) == STATS
    assert [list(attempt) for attempt in task["attempts"]] == [ATTEMPT]
    assert (task["state"], task["items"], task["log_bytes"], task["attempt"]) == ("finished", 2, 46, 1)
    assert task["created_at"] == "2026-03-01T12:00:00Z"
    stats = task["stats"]
    assert (task["progress"], stats["errors"], stats["log_lines"]) == (0.5, 3, 1)
    assert (stats["rss_bytes"], stats["cpu_seconds"]) == (4096, 0.25)


async def test_the_open_attempt_is_shown_like_a_closed_one(
    rig: Rig, agent: Agent, client: AsyncClient
) -> None:
    task_id = (await rig.submit()).id
    await agent.started()
    rig.clock.pass_time(90)
    task = await client.task(task_id)
    assert (task["state"], task["phase"], task["node"]) == ("running", "executing", "node-1")
    assert [list(attempt) for attempt in task["attempts"]] == [ATTEMPT]
    assert task["attempts"][0]["accepted"] is False
    assert task["stats"]["runtime_ms"] == 90_000
    assert (task["progress"], task["stats"]["errors"]) == (None, None)


async def test_ids_may_be_short_or_last(rig: Rig, client: AsyncClient) -> None:
    first, second = (await rig.submit()).id, (await rig.submit()).id
    assert (await client.task(first[-8:]))["id"] == first
    rig.clock.pass_time(1)
    third = (await rig.submit()).id
    assert (await client.task("last"))["id"] == third != second


@pytest.mark.parametrize(("name", "status"), [("nothing-here", 404), ("abc", 422)])
async def test_an_id_that_names_no_task(client: AsyncClient, name: str, status: int) -> None:
    with pytest.raises(Problem) as raised:
        await client.task(name)
    assert raised.value.status == status
    assert raised.value.remedy


async def test_lists_go_on_at_the_cursor_and_leave_out_what_is_heavy(rig: Rig, client: AsyncClient) -> None:
    made = []
    for _ in range(5):
        made.append((await rig.submit(tags=("t",))).id)
        rig.clock.pass_time(1)
    first = await client.tasks(limit=3, tag="t")
    rest = await client.tasks(limit=3, tag="t", cursor=first["next"])
    assert [task["id"] for task in first["tasks"] + rest["tasks"]] == made[::-1]
    assert rest["next"] is None
    assert "attempts" not in first["tasks"][0]
    assert (await client.tasks(states=["running", "finished"]))["tasks"] == []
    assert (await client.tasks(tag="other"))["tasks"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("state=odd", "state"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("since=yesterday", "since"),
        ("since=2026-01-01T00:00:00", "since"),
    ],
)
async def test_bad_filters_name_their_field(http: httpx.AsyncClient, query: str, field: str) -> None:
    assert_problem(await http.get(f"/api/v1/tasks?{query}"), 422, field)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "spider"),
        ({"spider": 5}, "spider"),
        ({"spider": "news", "prioritty": 1}, "prioritty"),
        ({"spider": "news", "priority": 11}, "priority"),
        ({"spider": "news", "tags": [""]}, "tags"),
        ({"spider": "news", "params": {"day": "x"}}, "params.day"),
        ({"spider": "news", "env": {"SILKMILL_X": "1"}}, "env.SILKMILL_X"),
        ([], None),
    ],
)
async def test_a_bad_submission_names_the_field_and_makes_nothing(
    http: httpx.AsyncClient, client: AsyncClient, body: Any, field: str | None
) -> None:
    assert_problem(await http.post("/api/v1/tasks", json=body), 422, field)
    assert (await client.tasks())["tasks"] == []


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "once"}])
async def test_an_unknown_spider_is_404_with_a_remedy(
    http: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await http.post("/api/v1/tasks", json={"spider": "newz"}, headers=headers)
    assert_problem(answer, 404, "spider")
    assert answer.json()["detail"].startswith("no spider")


async def test_a_key_makes_a_repeated_submission_one_task(client: AsyncClient) -> None:
    first = await client.submit({"spider": "news"}, key="k1")
    assert (await client.submit({"spider": "news"}, key="k1"))["id"] == first["id"]
    with pytest.raises(Problem) as raised:
        await client.submit({"spider": "news", "priority": 1}, key="k1")
    assert raised.value.status == 422


@pytest.mark.parametrize("path", ["/api/v1/tasks", "/api/v1/tasks/bulk"])
async def test_a_key_is_kept_for_a_day(rig: Rig, http: httpx.AsyncClient, path: str) -> None:
    async def submitted(priority: int) -> httpx.Response:
        body = {"spider": "news", "priority": priority}
        return await http.post(
            path, json=[body] if "bulk" in path else body, headers={"Idempotency-Key": "k"}
        )

    first = await submitted(1)
    rig.clock.pass_time(24 * 3600 - 1)
    assert (await submitted(1)).json() | {"stats": 0} == first.json() | {"stats": 0}
    assert_problem(await submitted(2), 422, "Idempotency-Key")
    rig.clock.pass_time(2)
    assert (await submitted(2)).status_code == 201
    assert_problem(await submitted(1), 422, "Idempotency-Key")


@pytest.mark.parametrize("as_list", [False, True])
async def test_bulk_makes_a_task_of_every_line(http: httpx.AsyncClient, as_list: bool) -> None:
    lines = [{"spider": "news", "tags": [f"n{number}"]} for number in range(10)]
    body = json.dumps(lines) if as_list else "\n".join(map(json.dumps, lines)) + "\n"
    answer = await http.post("/api/v1/tasks/bulk", content=body)
    assert answer.status_code == 201
    ids = answer.json()["ids"]
    assert answer.json()["count"] == len(set(ids)) == 10
    assert (await http.get(f"/api/v1/tasks/{ids[7]}")).json()["tags"] == ["n7"]


@pytest.mark.parametrize("as_list", [False, True])
@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ('{"spider": "newz"}', "spider"),
        ('{"spider": "news", "priority": "x"}', "priority"),
        ('{"spider": "news", "priority": 99}', "priority"),
        ('{"spder": 1}', "spder"),
    ],
)
async def test_bulk_is_all_or_nothing_and_names_the_line(
    http: httpx.AsyncClient, client: AsyncClient, as_list: bool, wrong: str, field: str
) -> None:
    texts = ['{"spider": "news"}'] * 2 + [wrong] + ['{"spider": "news"}']
    body = f"[{','.join(texts)}]" if as_list else "\n".join(texts)
    answer = await http.post("/api/v1/tasks/bulk", content=body)
    assert "line 3" in assert_problem(answer, 422, f"lines[2].{field}")["detail"]
    assert (await client.tasks())["tasks"] == []


@pytest.mark.parametrize(
    "body", ["", "  \n ", "[]", "[1", '{"spider": "news"}\n\n{"spider": "news"}', "\xff"]
)
async def test_bulk_refuses_what_is_no_list_of_lines(http: httpx.AsyncClient, body: str) -> None:
    assert_problem(await http.post("/api/v1/tasks/bulk", content=body.encode("latin-1")), 422)


async def test_a_key_is_one_callers_own(rig: Rig, version: str, http: httpx.AsyncClient) -> None:
    def submission(app: FastAPI, token: str, priority: int) -> Awaitable[httpx.Response]:
        other = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=URL)
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "k"}
        return other.post("/api/v1/tasks", json={"spider": "news", "priority": priority}, headers=headers)

    parts = app_of(rig).state.parts
    first, second = create_app(parts, "first"), create_app(parts, "second")
    answers = [await submission(first, "first", 1), await submission(second, "second", 2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert (await submission(first, "first", 1)).json()["id"] == answers[0].json()["id"]
    assert_problem(await submission(second, "second", 1), 422, "Idempotency-Key")


async def test_bulk_reads_2000_lines_in_milliseconds() -> None:
    from silkmill.adapters.http.submissions import Lines

    body = b"\n".join(
        [b'{"spider": "news", "params": {"day": "today"}, "priority": 3, "tags": ["a"]}'] * 2000
    )
    seconds = []
    for _ in range(5):
        begun = time.perf_counter()
        assert len(list(Lines(body))) == 2000
        seconds.append(time.perf_counter() - begun)
    assert min(seconds) < 0.1  # measured: 4 ms


async def test_tasks_are_counted_by_state(rig: Rig, client: AsyncClient) -> None:
    await rig.submit()
    await client.cancel((await rig.submit()).id)
    counts = await client.task_counts()
    assert list(counts["states"]) == list(State)
    assert (counts["total"], counts["states"]["pending"], counts["states"]["cancelled"]) == (2, 1, 1)
    assert await client.task_counts(project="default", spider="news") == counts
    assert (await client.task_counts(project="shop"))["total"] == 0


async def test_cancel_of_a_waiting_task_ends_it_at_once(rig: Rig, client: AsyncClient) -> None:
    task = await rig.submit()
    assert (await client.cancel(task.id))["state"] == "cancelled"
    assert (await client.cancel(task.id))["state"] == "cancelled"


async def test_cancel_of_a_running_task_is_a_wish(
    rig: Rig, agent: Agent, http: httpx.AsyncClient, client: AsyncClient
) -> None:
    task = await rig.submit()
    await agent.started()
    answer = await http.post(f"/api/v1/tasks/{task.id}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (202, "running")
    assert (await client.why(task.id))["waits_for"] == "cancel"
    assert_problem(await http.post(f"/api/v1/tasks/{task.id}/cancel", json={"forse": True}), 422, "forse")


async def test_retry_makes_a_new_task_of_an_ended_one_only(
    rig: Rig, client: AsyncClient, http: httpx.AsyncClient
) -> None:
    task = await rig.submit(tags=("x",), priority=3)
    assert_problem(await http.post(f"/api/v1/tasks/{task.id}/retry"), 409, "id")
    await client.cancel(task.id)
    again = await client.retry(task.id)
    assert (again["retry_of"], again["tags"], again["priority"]) == (task.id, ["x"], 3)
    assert again["id"] != task.id


@pytest.mark.parametrize("placement", [{"mode": "nodes", "nodes": ["far"]}, {"mode": "random"}])
async def test_a_retry_asks_for_the_same_nodes(
    rig: Rig, client: AsyncClient, placement: dict[str, object]
) -> None:
    await rig.deploy_spider('name = "news"\ncommand = "true"\nplacement.labels = {gpu = "1"}\n')
    first = await client.submit({"spider": "news", "placement": placement})
    await client.cancel(first["id"])
    again = await client.retry(first["id"])
    assert (await rig.task(again["id"])).placement == (await rig.task(first["id"])).placement


async def test_why_names_what_a_task_waits_for(rig: Rig, client: AsyncClient) -> None:
    task = await rig.submit()
    assert (await client.why(task.id))["waits_for"] == "node"
    await Agent(rig).register()
    assert (await client.why(task.id))["waits_for"] == "dispatch"
    later = await rig.submit()
    assert "1 tasks" in (await client.why(later.id))["text"]


async def test_why_names_the_limit_and_who_holds_it(rig: Rig, client: AsyncClient, agent: Agent) -> None:
    await client.set_project("default", max_concurrency=1)
    first, second = await rig.submit(), await rig.submit()
    await rig.dispatcher.tick()
    said = await client.why(second.id)
    assert said["waits_for"] == "permit"
    assert "project default" in said["text"] and first.id in said["text"]


async def test_why_of_a_task_that_does_not_wait_looks_at_no_queue(
    rig: Rig, client: AsyncClient, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = await agent.running()
    monkeypatch.setattr(rig.store, "waiting_queues", None)
    assert (await client.why(ref.task_id))["waits_for"] == "spider"


async def test_why_names_the_node_that_is_missing(rig: Rig, client: AsyncClient, agent: Agent) -> None:
    placed = {"mode": "nodes", "nodes": ["far"], "labels": {"gpu": "1"}}
    task = await client.submit({"spider": "news", "placement": placed})
    said = await client.why(task["id"])
    assert (said["waits_for"], "is named far and has the label gpu=1" in said["text"]) == ("placement", True)


@pytest.mark.parametrize(
    ("placement", "field"),
    [
        ({"mode": "some"}, "mode"),
        ({"mode": "nodes"}, "nodes"),
        ({"labels": {"a": ""}}, "labels"),
        ({"label": {}}, "label"),
    ],
)
async def test_a_placement_that_makes_no_sense_is_refused(
    http: httpx.AsyncClient, placement: dict[str, object], field: str
) -> None:
    line = {"spider": "news", "placement": placement}
    assert_problem(await http.post("/api/v1/tasks", json=line), 422, field)
    problem = assert_problem(
        await http.post("/api/v1/tasks/bulk", json=[{"spider": "news"}, line]), 422, f"lines[1].{field}"
    )
    assert "line 2" in problem["detail"]


async def test_a_task_for_all_nodes_needs_one(rig: Rig, http: httpx.AsyncClient, client: AsyncClient) -> None:
    line = {"spider": "news", "placement": {"mode": "all", "labels": {"gpu": "1"}}}
    assert_problem(await http.post("/api/v1/tasks", json=line), 422, "placement")
    await Agent(rig, labels={"gpu": "1"}).register()
    task = await client.submit(line)
    assert (await rig.task(task["id"])).placement == Placement("nodes", ("node-1",))


async def test_a_key_stands_for_its_task(http: httpx.AsyncClient, client: AsyncClient) -> None:
    first = await client.submit({"spider": "news", "key": "a"})
    assert (await client.submit({"spider": "news", "key": "a"}))["id"] == first["id"]
    body = {"spider": "news", "key": "a", "priority": 1}
    problem = assert_problem(await http.post("/api/v1/tasks", json=body), 422, "key")
    assert problem["detail"].startswith("the key 'a' belongs to task")


async def test_projects_and_their_limits(rig: Rig, http: httpx.AsyncClient, client: AsyncClient) -> None:
    assert await client.projects() == [{"name": "default", "max_concurrency": 0}]
    assert await client.set_project("shop", max_concurrency=3) == {"name": "shop", "max_concurrency": 3}
    assert [one["name"] for one in await client.projects()] == ["default", "shop"]
    await client.set_project("typo", max_concurrency=1)
    await client.set_project("typo", max_concurrency=0)
    assert [one["name"] for one in await client.projects()] == ["default", "shop"]
    assert_problem(
        await http.put("/api/v1/projects/shop", json={"max_concurrency": -1}), 422, "max_concurrency"
    )
    assert_problem(await http.put("/api/v1/projects/SHOP", json={"max_concurrency": 1}), 422, "project")
    assert_problem(await http.put("/api/v1/projects/shop", json={}), 422, "max_concurrency")


async def test_an_ambiguous_id_lists_the_candidates(rig: Rig, http: httpx.AsyncClient) -> None:
    ids = [f"01a20cb7-a5eb-7ea4-980{number}-fcf5a23e76b5" for number in range(2)]
    await rig.store.insert_tasks([make_task(id=task_id) for task_id in ids])
    problem = assert_problem(await http.get("/api/v1/tasks/a23e76b5"), 409, "id")
    assert all(task_id in problem["detail"] for task_id in ids)
