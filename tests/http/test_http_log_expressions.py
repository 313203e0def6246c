"""An expression that never ends is refused by every route, and holds up nobody else."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from fastapi import FastAPI
from tests.http.conftest import app_of
from tests.http.problems import assert_problem
from tests.support.master_rig import Agent, Rig

from silkmill.protocol.logframe import frame_line
from silkmill.runtime.enginelog import EngineLog

HOSTILE = "^(a|aa)+$"
LINE = b"a" * 700 + b"!"


@pytest.fixture
def app(rig: Rig, tmp_path: Path) -> FastAPI:
    (tmp_path / "silkmill.jsonl").write_bytes(LINE + b"\n")
    return app_of(rig, EngineLog(tmp_path))


@pytest.mark.parametrize(
    "path",
    [
        "tasks/{}/log?limit=1000",
        "tasks/{}/log?tail=10",
        "logs?spider=news",
        "logs/system?tail=10",
    ],
)
async def test_it_is_refused_while_others_are_answered(
    http: httpx.AsyncClient, rig: Rig, agent: Agent, version: str, path: str
) -> None:
    task = await rig.submit()
    await agent.log(await agent.started(), frame_line(b"stdout", LINE, 1))
    asked = asyncio.create_task(http.get(f"/api/v1/{path.format(task.id)}&grep={quote(HOSTILE)}"))
    answers = 0
    while not asked.done():
        assert (await http.get("/healthz")).status_code == 200
        answers += 1
        await asyncio.sleep(0)  # nothing else gives the others a turn
    assert_problem(asked.result(), 422, "grep")
    assert "too slow" in asked.result().json()["detail"]
    assert answers > 20


async def test_a_repeat_in_a_repeat_that_ends_is_no_reason_to_refuse(
    http: httpx.AsyncClient, rig: Rig, agent: Agent, version: str
) -> None:
    task = await rig.submit()
    lines = [frame_line(b"stdout", text, 1) for text in (b"version 1.22.333 of x", b"version 1")]
    await agent.log(await agent.started(), b"".join(lines))
    answer = await http.get(f"/api/v1/tasks/{task.id}/log", params={"grep": r"(\d+\.)+\d+ of"})
    assert answer.content == lines[0]
