"""The sync client: one method per call of the API."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Self

from silkmill.client import calls
from silkmill.client.answer import joined, read_object
from silkmill.client.connection import Connection
from silkmill.client.errors import NoServer
from silkmill.client.server import Server, data_directory, find_server
from silkmill.client.sse import EventReader, ServerEvent


class Client:
    """Answers are the API's JSON as Python values; `docs/http.md` gives their shapes.

    Every method raises NoServer, ConnectionLost or Problem. Not for several threads at once."""

    def __init__(self, server: Server, *, timeout_seconds: float = 60.0) -> None:
        self.server = server
        self._connection = Connection(server, timeout_seconds)

    @classmethod
    def find(cls, data: str | os.PathLike[str] | None = None) -> Client:
        """A client of the server that the environment or the data directory names."""
        directory = data_directory(data)
        server = find_server(directory)
        if server is None:
            raise NoServer(f"no server runs for {directory}; start silkmill up")
        return cls(server)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def tasks(self, **where: Any) -> dict[str, Any]:
        """One page: {"tasks": [...], "next": cursor or None}. Keywords as `calls.list_tasks`."""
        return self._object(calls.list_tasks(**where))

    def every_task(self, **where: Any) -> Iterator[dict[str, Any]]:
        """All tasks of a filter, page by page, newest first."""
        cursor: str | None = None
        while True:
            page = self.tasks(cursor=cursor, **where)
            yield from page["tasks"]
            cursor = page["next"]
            if cursor is None:
                return

    def task_counts(self, **where: Any) -> dict[str, Any]:
        """{"total", "states"}. Keywords as `calls.count_tasks`."""
        return self._object(calls.count_tasks(**where))

    def task(self, task_id: str) -> dict[str, Any]:
        return self._object(calls.task(task_id))

    def submit(self, submission: Mapping[str, Any], *, key: str | None = None) -> dict[str, Any]:
        return self._object(calls.submit(submission, key))

    def submit_bulk(
        self, lines: Iterable[Mapping[str, Any]] | bytes, *, key: str | None = None
    ) -> dict[str, Any]:
        """{"count", "ids"}; all lines or none."""
        return self._object(calls.submit_bulk(lines, key))

    def cancel(self, task_id: str, *, force: bool = False) -> dict[str, Any]:
        return self._object(calls.cancel(task_id, force=force))

    def retry(self, task_id: str) -> dict[str, Any]:
        return self._object(calls.retry(task_id))

    def why(self, task_id: str) -> dict[str, Any]:
        return self._object(calls.why(task_id))

    def log(self, task_id: str, **which: Any) -> Iterator[bytes]:
        """Log frames as they are stored, or the spider's bytes with `raw`. Keywords as `calls.log`."""
        return self._connection.chunks(calls.log(task_id, **which))

    def follow_log(self, task_id: str, **which: Any) -> Iterator[ServerEvent]:
        """Events `log`, `state`, and at last `end`, once the task is final and all was sent, or `error`."""
        return self._events(calls.follow_log(task_id, **which))

    def search_logs(self, spider: str, **which: Any) -> dict[str, Any]:
        """One page: {"lines": [...], "unreadable": [...], "next": cursor or None}. Keywords as
        `calls.search_logs`."""
        return self._object(calls.search_logs(spider, **which))

    def engine_log(self, **which: Any) -> Iterator[bytes]:
        """JSON lines. Keywords as `calls.engine_log`."""
        return self._connection.chunks(calls.engine_log(**which))

    def items(self, task_id: str, **which: Any) -> Iterator[bytes]:
        return self._connection.chunks(calls.items(task_id, **which))

    def stats(self, task_id: str, *, attempt: int | None = None) -> dict[str, Any]:
        """The statistics of an attempt over time: {"id", "attempt", "step_seconds", "points"}."""
        return self._object(calls.stats(task_id, attempt))

    def events(self, last_event_id: str | None = None) -> Iterator[ServerEvent]:
        return self._events(calls.events(last_event_id))

    def spiders(self) -> list[dict[str, Any]]:
        return list(self._all(calls.spiders)["spiders"])

    def spider(self, project: str, name: str) -> dict[str, Any]:
        return self._object(calls.spider(project, name))

    def versions(self, project: str, name: str) -> list[dict[str, Any]]:
        return list(self._all(partial(calls.versions, project, name))["versions"])

    def choose_version(self, project: str, name: str, version: str) -> dict[str, Any]:
        """New tasks of the spider get that version. Answers with the spider."""
        return self._object(calls.choose_version(project, name, version))

    def version_diff(self, old: str, new: str) -> dict[str, Any]:
        return self._object(calls.version_diff(old, new))

    def nodes(self) -> list[dict[str, Any]]:
        return list(self._all(calls.nodes)["nodes"])

    def projects(self) -> list[dict[str, Any]]:
        return list(self._all(calls.projects)["projects"])

    def set_project(self, name: str, *, max_concurrency: int) -> dict[str, Any]:
        return self._object(calls.set_project(name, max_concurrency=max_concurrency))

    def schedules(self) -> dict[str, Any]:
        """{"schedules": [...], "paused_since": time or None}"""
        return self._all(calls.schedules)

    def add_schedule(self, schedule: Mapping[str, Any]) -> dict[str, Any]:
        return self._object(calls.add_schedule(schedule))

    def schedule(self, project: str, spider: str, name: str) -> dict[str, Any]:
        return self._object(calls.schedule(project, spider, name))

    def put_schedule(
        self, project: str, spider: str, name: str, schedule: Mapping[str, Any]
    ) -> dict[str, Any]:
        return self._object(calls.put_schedule(project, spider, name, schedule))

    def remove_schedule(self, project: str, spider: str, name: str) -> None:
        self._connection.send(calls.remove_schedule(project, spider, name))

    def switch_schedule(self, project: str, spider: str, name: str, *, enabled: bool) -> dict[str, Any]:
        return self._object(calls.switch_schedule(project, spider, name, enabled=enabled))

    def run_schedule(self, project: str, spider: str, name: str) -> dict[str, Any]:
        """The task."""
        return self._object(calls.run_schedule(project, spider, name))

    def missing_blobs(self, sha256: Iterable[str]) -> list[str]:
        return list(self._object(calls.missing_blobs(sha256))["missing"])

    def put_blob(self, sha256: str, data: bytes) -> None:
        self._connection.send(calls.put_blob(sha256, data))

    def create_version(
        self, files: Iterable[Mapping[str, Any]], *, project: str | None = None
    ) -> dict[str, Any]:
        return self._object(calls.create_version(files, project))

    def _all(self, page_at: Callable[[str | None], calls.Call]) -> dict[str, Any]:
        """All pages of a list as one answer."""
        pages = self._object(page_at(None))
        while cursor := pages.pop("next"):
            pages = joined(pages, self._object(page_at(cursor)))
        return pages

    def _object(self, call: calls.Call) -> dict[str, Any]:
        return read_object(self._connection.send(call))

    def _events(self, call: calls.Call) -> Iterator[ServerEvent]:
        reader = EventReader()
        for piece in self._connection.chunks(call):
            yield from reader.feed(piece)
