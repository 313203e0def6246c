"""A log that cannot be read to its end: an error that says so, and never half a log that looks whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog
from fastapi import FastAPI
from tests.http.conftest import TOKEN
from tests.support.master_rig import Agent, Rig

from silkmill.adapters.http import serving
from silkmill.client import AsyncClient, ConnectionLost, Problem, Server
from silkmill.domain.errors import Unavailable
from silkmill.master.logs import writer
from silkmill.protocol.logframe import frame_line

HALF = frame_line(b"stdout", b"hello", 1) * 15_000


@pytest.fixture
async def live(app: FastAPI) -> AsyncIterator[AsyncClient]:
    async with serving(app, "127.0.0.1", 0) as url, AsyncClient(Server(url, TOKEN)) as client:
        yield client


@pytest.fixture
async def chunks(rig: Rig, agent: Agent, version: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of two, of the log of a task."""
    monkeypatch.setattr(writer, "CHUNK_BYTES", 4096)
    ref = await agent.running()
    await agent.log(ref, HALF)
    await agent.log(ref, HALF, len(HALF))
    names = sorted(await rig.bucket.names("logs/"))
    assert len(names) == 2
    return names


WHICH: list[dict[str, Any]] = [{}, {"grep": "h[e]llo"}, {"raw": True}]


def task_of(chunk: str) -> str:
    return chunk.split("/")[1]


@pytest.mark.parametrize("which", WHICH)
async def test_before_its_first_line(
    rig: Rig, live: AsyncClient, chunks: list[str], which: dict[str, Any]
) -> None:
    await rig.bucket.delete(chunks[:1])
    with pytest.raises(Problem, match="is damaged"):
        await anext(live.log(task_of(chunks[0]), **which))


@pytest.mark.parametrize("which", WHICH)
async def test_in_its_middle(
    rig: Rig,
    live: AsyncClient,
    chunks: list[str],
    which: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    await rig.bucket.delete(chunks[1:])
    with structlog.testing.capture_logs() as told, pytest.raises(ConnectionLost):
        async for piece in live.log(task_of(chunks[0]), **which):
            assert b"hello" in piece
    assert [(line["event"], "is damaged" in line["cause"]) for line in told] == [
        ("an answer broke off", True)
    ]
    assert "Traceback" not in caplog.text


async def test_followed(rig: Rig, live: AsyncClient, chunks: list[str]) -> None:
    await rig.bucket.delete(chunks[1:])
    with structlog.testing.capture_logs() as told:
        events = [event async for event in live.follow_log(task_of(chunks[0]))]
    assert {event.name for event in events[1:-1]} == {"log"}
    assert (events[-1].name, events[-1].value["status"]) == ("error", 409)
    assert "is damaged" in events[-1].value["detail"]
    assert [line["event"] for line in told] == ["an event stream ended with an error"]


async def test_followed_while_the_bucket_is_away(
    rig: Rig,
    live: AsyncClient,
    chunks: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It breaks off as if the engine were gone: the client comes back."""

    async def away(*_: object) -> bytes:
        raise Unavailable("bucket", "no answer")

    monkeypatch.setattr(rig.bucket, "get_range", away)
    with structlog.testing.capture_logs() as told, pytest.raises(ConnectionLost):
        async for event in live.follow_log(task_of(chunks[0])):
            assert event.name == "state"
    assert [line["event"] for line in told] == ["an event stream broke off"]
    assert "Traceback" not in caplog.text
