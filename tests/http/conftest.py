"""The API over a whole master without sockets: real store, bucket, master parts; the test plays the agent."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from tests.support.master_rig import Agent, Rig
from tests.support.openapi import CheckedTransport

from silkmill.adapters.http import Parts, create_app
from silkmill.adapters.store.memory import MemoryStore
from silkmill.client import AsyncClient, Server
from silkmill.master.log_search import LogSearch
from silkmill.master.logs import LogReader
from silkmill.runtime.enginelog import EngineLog

TOKEN = "a-token-of-the-tests"
URL = "http://127.0.0.1:6810"


def app_of(rig: Rig, engine_log: EngineLog | None = None) -> FastAPI:
    reader = LogReader(rig.store, rig.bucket, rig.expressions)
    parts = Parts(
        store=rig.store,
        clock=rig.clock,
        tasks=rig.tasks,
        intake=rig.intake,
        uploads=rig.uploads,
        deploy=rig.deploy,
        versions=rig.versions,
        spiders=rig.spiders,
        cancel=rig.cancel,
        feed=rig.feed,
        log_reader=reader,
        log_search=LogSearch(rig.store, reader),
        engine_log=engine_log,
        expressions=rig.expressions,
        workers=rig.workers,
        dispatcher=rig.dispatcher,
        permits=rig.permits,
        projects=rig.projects,
        metrics=rig.metrics,
        schedules=rig.schedules,
        cron=rig.cron,
        statistics=rig.statistics,
        preparations=rig.preparations,
    )
    return create_app(parts, TOKEN)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig(MemoryStore())
    yield rig
    await rig.expressions.close()


@pytest.fixture
def app(rig: Rig) -> FastAPI:
    return app_of(rig)


@pytest.fixture
async def agent(rig: Rig) -> Agent:
    agent = Agent(rig)
    await agent.register()
    return agent


@pytest.fixture
async def version(rig: Rig) -> str:
    """The version of the spider `news`, deployed."""
    return await rig.deploy_spider()


@pytest.fixture
def transport(app: FastAPI) -> CheckedTransport:
    return CheckedTransport(httpx.ASGITransport(app, raise_app_exceptions=False))


@pytest.fixture
async def http(transport: CheckedTransport) -> AsyncIterator[httpx.AsyncClient]:
    """Raw HTTP with the token; every answer is as docs/openapi.json says."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url=URL, headers=headers) as client:
        yield client


@pytest.fixture
async def client(transport: CheckedTransport) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(Server(URL, TOKEN), transport=transport) as client:
        yield client
