"""The async client: the calls of `Client` for users of asyncio, over httpx."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Any, Self

import httpx

from silkmill.client import calls
from silkmill.client.answer import joined, read_object
from silkmill.client.errors import ConnectionLost, NoServer, Problem
from silkmill.client.server import Server, data_directory, find_server
from silkmill.client.sse import EventReader, ServerEvent


class AsyncClient:
    """As `Client`; every method raises NoServer, ConnectionLost or Problem. `transport` is for tests."""

    def __init__(
        self,
        server: Server,
        *,
        timeout_seconds: float = 60.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.server = server
        self._http = httpx.AsyncClient(
            base_url=server.url,
            headers={"Authorization": f"Bearer {server.token}"},
            timeout=timeout_seconds,
            transport=transport,
            trust_env=False,  # a proxy of the environment is for crawling, not for this server
        )

    @classmethod
    def find(cls, data: str | os.PathLike[str] | None = None) -> AsyncClient:
        directory = data_directory(data)
        server = find_server(directory)
        if server is None:
            raise NoServer(f"no server runs for {directory}; start silkmill up")
        return cls(server)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def tasks(self, **where: Any) -> dict[str, Any]:
        return await self._object(calls.list_tasks(**where))

    async def task_counts(self, **where: Any) -> dict[str, Any]:
        return await self._object(calls.count_tasks(**where))

    async def task(self, task_id: str) -> dict[str, Any]:
        return await self._object(calls.task(task_id))

    async def submit(self, submission: Mapping[str, Any], *, key: str | None = None) -> dict[str, Any]:
        return await self._object(calls.submit(submission, key))

    async def submit_bulk(
        self, lines: Iterable[Mapping[str, Any]] | bytes, *, key: str | None = None
    ) -> dict[str, Any]:
        return await self._object(calls.submit_bulk(lines, key))

    async def cancel(self, task_id: str, *, force: bool = False) -> dict[str, Any]:
        return await self._object(calls.cancel(task_id, force=force))

    async def retry(self, task_id: str) -> dict[str, Any]:
        return await self._object(calls.retry(task_id))

    async def why(self, task_id: str) -> dict[str, Any]:
        return await self._object(calls.why(task_id))

    def log(self, task_id: str, **which: Any) -> AsyncIterator[bytes]:
        return self._chunks(calls.log(task_id, **which))

    def follow_log(self, task_id: str, **which: Any) -> AsyncIterator[ServerEvent]:
        return self._events(calls.follow_log(task_id, **which))

    async def search_logs(self, spider: str, **which: Any) -> dict[str, Any]:
        return await self._object(calls.search_logs(spider, **which))

    def engine_log(self, **which: Any) -> AsyncIterator[bytes]:
        return self._chunks(calls.engine_log(**which))

    def items(self, task_id: str, **which: Any) -> AsyncIterator[bytes]:
        return self._chunks(calls.items(task_id, **which))

    async def stats(self, task_id: str, *, attempt: int | None = None) -> dict[str, Any]:
        return await self._object(calls.stats(task_id, attempt))

    def events(self, last_event_id: str | None = None) -> AsyncIterator[ServerEvent]:
        return self._events(calls.events(last_event_id))

    async def spiders(self) -> list[dict[str, Any]]:
        return list((await self._all(calls.spiders))["spiders"])

    async def spider(self, project: str, name: str) -> dict[str, Any]:
        return await self._object(calls.spider(project, name))

    async def versions(self, project: str, name: str) -> list[dict[str, Any]]:
        return list((await self._all(partial(calls.versions, project, name)))["versions"])

    async def choose_version(self, project: str, name: str, version: str) -> dict[str, Any]:
        return await self._object(calls.choose_version(project, name, version))

    async def version_diff(self, old: str, new: str) -> dict[str, Any]:
        return await self._object(calls.version_diff(old, new))

    async def nodes(self) -> list[dict[str, Any]]:
        return list((await self._all(calls.nodes))["nodes"])

    async def projects(self) -> list[dict[str, Any]]:
        return list((await self._all(calls.projects))["projects"])

    async def set_project(self, name: str, *, max_concurrency: int) -> dict[str, Any]:
        return await self._object(calls.set_project(name, max_concurrency=max_concurrency))

    async def schedules(self) -> dict[str, Any]:
        return await self._all(calls.schedules)

    async def add_schedule(self, schedule: Mapping[str, Any]) -> dict[str, Any]:
        return await self._object(calls.add_schedule(schedule))

    async def schedule(self, project: str, spider: str, name: str) -> dict[str, Any]:
        return await self._object(calls.schedule(project, spider, name))

    async def put_schedule(
        self, project: str, spider: str, name: str, schedule: Mapping[str, Any]
    ) -> dict[str, Any]:
        return await self._object(calls.put_schedule(project, spider, name, schedule))

    async def remove_schedule(self, project: str, spider: str, name: str) -> None:
        await self._send(calls.remove_schedule(project, spider, name))

    async def switch_schedule(self, project: str, spider: str, name: str, *, enabled: bool) -> dict[str, Any]:
        return await self._object(calls.switch_schedule(project, spider, name, enabled=enabled))

    async def run_schedule(self, project: str, spider: str, name: str) -> dict[str, Any]:
        return await self._object(calls.run_schedule(project, spider, name))

    async def missing_blobs(self, sha256: Iterable[str]) -> list[str]:
        return list((await self._object(calls.missing_blobs(sha256)))["missing"])

    async def put_blob(self, sha256: str, data: bytes) -> None:
        await self._send(calls.put_blob(sha256, data))

    async def create_version(
        self, files: Iterable[Mapping[str, Any]], *, project: str | None = None
    ) -> dict[str, Any]:
        return await self._object(calls.create_version(files, project))

    async def _all(self, page_at: Callable[[str | None], calls.Call]) -> dict[str, Any]:
        pages = await self._object(page_at(None))
        while cursor := pages.pop("next"):
            pages = joined(pages, await self._object(page_at(cursor)))
        return pages

    async def _object(self, call: calls.Call) -> dict[str, Any]:
        return read_object(await self._send(call))

    async def _send(self, call: calls.Call) -> bytes:
        async with self._answer(call) as response:
            return await response.aread()

    async def _chunks(self, call: calls.Call) -> AsyncIterator[bytes]:
        async with self._answer(call) as response:
            async for chunk in response.aiter_bytes():
                yield chunk

    async def _events(self, call: calls.Call) -> AsyncIterator[ServerEvent]:
        reader = EventReader()
        async for piece in self._chunks(call):
            for event in reader.feed(piece):
                yield event

    @asynccontextmanager
    async def _answer(self, call: calls.Call) -> AsyncIterator[httpx.Response]:
        request = self._http.build_request(
            call.method, call.target, content=call.body, headers=dict(call.headers)
        )
        try:
            response = await self._http.send(request, stream=True)
        except httpx.ConnectError as error:
            raise NoServer(f"no server answers at {self.server.url}: {error}") from None
        except httpx.HTTPError as error:
            raise ConnectionLost(self.server.url, error) from error
        try:
            if response.status_code >= 300:
                raise Problem.of(response.status_code, await response.aread())
            yield response
        except httpx.HTTPError as error:
            raise ConnectionLost(self.server.url, error) from error
        finally:
            await response.aclose()
