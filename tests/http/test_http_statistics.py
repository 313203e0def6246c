"""Live statistics over the API: in the task, in lists, as events, and over time."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest
from tests.http.problems import assert_problem
from tests.support.master_rig import Agent, Rig

from silkmill.client import AsyncClient, Problem
from silkmill.domain.attempt import AttemptRef
from silkmill.domain.statistics import Statistics
from silkmill.ports.link import Report

NOW = Statistics(0.5, 1, 9, 4096, 0.25, 2, 10, 20)
POINT = [
    *("at", "items", "log_bytes", "log_lines", "errors", "progress", "rss_bytes", "processes"),
    *("cpu_seconds", "read_bytes", "written_bytes"),
]


@pytest.fixture(autouse=True)
def deployed(version: str) -> str:
    return version


async def reported(agent: Agent, status: str | None = None) -> AttemptRef:
    ref = await agent.running()
    await agent.items(ref, [b"{}"] * 3)
    agent.rig.clock.pass_time(30)
    await agent.rig.link.statistics(agent.session, [Report(ref, NOW, status)])
    return ref


async def test_a_running_task_shows_what_it_told_last(agent: Agent, client: AsyncClient) -> None:
    ref = await reported(agent, '{"page": 12345678901234567890123}')
    task = await client.task(ref.task_id)
    assert (task["progress"], task["status"]) == (0.5, {"page": 12345678901234567890123})
    stats = task["stats"]
    assert (stats["errors"], stats["log_lines"], stats["rss_bytes"]) == (1, 9, 4096)
    assert (stats["cpu_seconds"], stats["processes"]) == (0.25, 2)
    assert (stats["read_bytes"], stats["written_bytes"]) == (10, 20)
    assert (stats["items"], stats["items_per_minute"]) == (3, 6.0)
    (listed,) = (await client.tasks())["tasks"]
    assert (listed["progress"], listed["stats"]) == (0.5, stats)
    assert "status" not in listed


async def test_a_status_is_given_as_it_was_sent(
    agent: Agent, client: AsyncClient, http: httpx.AsyncClient
) -> None:
    status = '{ "n": 1.10, "big": 1e400, "text": "\\u00e9é", "many": ' + "7" * 6000 + " }"
    ref = await reported(agent, status)
    await agent.finish(ref, status=status)
    await agent.rig.statistics.tick()
    assert f'"status":{status},' in (await http.get(f"/api/v1/tasks/{ref.task_id}")).text
    shown = (await client.task(ref.task_id))["status"]
    assert shown == {"n": 1.1, "big": "1e400", "text": "éé", "many": "7" * 6000}


async def test_what_is_not_known_is_null(agent: Agent, client: AsyncClient) -> None:
    ref = await reported(agent)
    hidden = replace(NOW, read_bytes=None, written_bytes=None)
    agent.rig.clock.pass_time(30)
    await agent.rig.link.statistics(agent.session, [Report(ref, hidden)])
    stats = (await client.task(ref.task_id))["stats"]
    assert (stats["cpu_seconds"], stats["read_bytes"], stats["written_bytes"]) == (0.25, None, None)
    points = (await client.stats(ref.task_id))["points"]
    assert [(point["read_bytes"], point["written_bytes"]) for point in points] == [(10, 20), (None, None)]


async def test_the_pace_is_of_the_last_minute_then_of_the_whole_run(
    rig: Rig, agent: Agent, client: AsyncClient
) -> None:
    ref = await reported(agent)
    rig.clock.pass_time(90)
    assert (await client.task(ref.task_id))["stats"]["items_per_minute"] == 0.0
    await agent.finish(ref)
    assert (await client.task(ref.task_id))["stats"]["items_per_minute"] == 1.5


async def test_the_next_attempt_begins_anew(rig: Rig, agent: Agent, client: AsyncClient) -> None:
    ref = await reported(agent, '{"page":1}')
    await rig.link.give_back(agent.session, ref, "for a test")
    await agent.started()
    task = await client.task(ref.task_id)
    assert (task["attempt"], task["progress"], task["status"]) == (2, None, None)
    assert task["stats"]["rss_bytes"] is None
    assert [p["errors"] for p in (await client.stats(ref.task_id, attempt=1))["points"]] == [1]
    assert (await client.stats(ref.task_id))["points"] == []


async def test_the_series_is_read_by_attempt(rig: Rig, agent: Agent, client: AsyncClient) -> None:
    ref = await reported(agent)
    series = await client.stats(ref.task_id)
    assert list(series) == ["id", "attempt", "step_seconds", "points"]
    assert (series["id"], series["attempt"], series["step_seconds"]) == (ref.task_id, 1, 10)
    assert [list(point) for point in series["points"]] == [POINT]
    assert series["points"][0]["at"] == "2026-03-01T12:00:30Z"
    with pytest.raises(Problem) as refused:
        await client.stats(ref.task_id, attempt=7)
    assert refused.value.exit_code == 4


async def test_a_task_without_an_attempt_has_no_series(rig: Rig, client: AsyncClient) -> None:
    task = await rig.submit()
    series = await client.stats(task.id)
    assert (series["attempt"], series["points"]) == (None, [])


async def test_a_wrong_attempt_is_named(rig: Rig, http: httpx.AsyncClient) -> None:
    task = await rig.submit()
    assert_problem(await http.get(f"/api/v1/tasks/{task.id}/stats?attempt=0"), 422, field="attempt")
