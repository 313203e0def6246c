"""Every call of the API as a value, so that the sync and the async client differ only in how they send."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlencode

PREFIX = "/api/v1"
JSON = "application/json"
PACKED_FROM = 4096
"""Bytes of a body: fewer are one or two packets either way."""
_GZIP = zlib.MAX_WBITS | 16


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `path` is below the API's prefix, quoted; `query` leaves out what is None."""

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def target(self) -> str:
        given = {name: _text(value) for name, value in self.query.items() if value is not None}
        return PREFIX + self.path + ("?" + urlencode(given, doseq=True) if given else "")


def list_tasks(
    *,
    states: Iterable[str] = (),
    project: str | None = None,
    spider: str | None = None,
    tag: str | None = None,
    since: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Call:
    query = {
        "state": list(states) or None,
        "project": project,
        "spider": spider,
        "tag": tag,
        "since": since,
        "limit": limit,
        "cursor": cursor,
    }
    return Call("GET", "/tasks", query)


def count_tasks(*, project: str | None = None, spider: str | None = None) -> Call:
    return Call("GET", "/tasks/counts", {"project": project, "spider": spider})


def task(task_id: str) -> Call:
    return Call("GET", _of_task(task_id))


def submit(submission: Mapping[str, Any], key: str | None = None) -> Call:
    """One task: {"spider", "project", "version", "params", "env", "settings", "priority", "tags",
    "placement", "key"}, all but the first optional."""
    return _post("/tasks", submission, {"Idempotency-Key": key} if key else {})


def submit_bulk(lines: Iterable[Mapping[str, Any]] | bytes, key: str | None = None) -> Call:
    """Many tasks, all or none; `lines` as for `submit`, or JSON lines already encoded."""
    body = lines if isinstance(lines, bytes) else b"\n".join(json.dumps(line).encode() for line in lines)
    headers = {"Content-Type": "application/x-ndjson"} | ({"Idempotency-Key": key} if key else {})
    return Call("POST", "/tasks/bulk", body=body, headers=headers)


def cancel(task_id: str, *, force: bool = False) -> Call:
    return _post(_of_task(task_id, "/cancel"), {"force": force})


def retry(task_id: str) -> Call:
    return _post(_of_task(task_id, "/retry"), {})


def why(task_id: str) -> Call:
    return Call("GET", _of_task(task_id, "/why"))


def log(
    task_id: str,
    *,
    attempt: int | None = None,
    offset: int | None = None,
    limit: int | None = None,
    tail: int | None = None,
    raw: bool = False,
    **narrowed: Any,
) -> Call:
    """`narrowed`: the keywords of `narrowing`."""
    query = {"attempt": attempt, "offset": offset, "limit": limit, "tail": tail, "raw": raw or None}
    return Call("GET", _of_task(task_id, "/log"), query | narrowing(**narrowed))


def follow_log(
    task_id: str,
    *,
    attempt: int | None = None,
    tail: int | None = None,
    last_event_id: str | None = None,
    **narrowed: Any,
) -> Call:
    """`narrowed`: the keywords of `narrowing`."""
    query = {"attempt": attempt, "tail": tail} | narrowing(**narrowed)
    return Call("GET", _of_task(task_id, "/log/stream"), query, headers=_resume(last_event_id))


def search_logs(
    spider: str,
    *,
    project: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    **narrowed: Any,
) -> Call:
    """Of all tasks of a spider. `narrowed`: the keywords of `narrowing`."""
    query = {"spider": spider, "project": project, "cursor": cursor, "limit": limit}
    return Call("GET", "/logs", query | narrowing(**narrowed))


def engine_log(
    *,
    tail: int | None = None,
    level: str | None = None,
    grep: str | None = None,
    since: str | None = None,
) -> Call:
    return Call("GET", "/logs/system", {"tail": tail, "level": level, "grep": grep, "since": since})


def narrowing(
    *,
    stream: str | None = None,
    grep: str | None = None,
    level: str | None = None,
    where: Iterable[str] = (),
    since: str | None = None,
) -> dict[str, Any]:
    """Which lines: `level` and worse; `where`: NAME=VALUE of fields of a message; `since`: RFC 3339."""
    return {"stream": stream, "grep": grep, "level": level, "where": list(where) or None, "since": since}


def items(
    task_id: str,
    *,
    attempt: int | None = None,
    cursor: int | None = None,
    limit: int | None = None,
    format: str | None = None,
    with_ids: bool = False,
) -> Call:
    query = {
        "attempt": attempt,
        "cursor": cursor,
        "limit": limit,
        "format": format,
        "with_ids": with_ids or None,
    }
    return Call("GET", _of_task(task_id, "/items"), query)


def stats(task_id: str, attempt: int | None = None) -> Call:
    return Call("GET", _of_task(task_id, "/stats"), {"attempt": attempt})


def events(last_event_id: str | None = None) -> Call:
    return Call("GET", "/events", headers=_resume(last_event_id))


def spiders(cursor: str | None = None) -> Call:
    return Call("GET", "/spiders", {"cursor": cursor})


def spider(project: str, name: str) -> Call:
    return Call("GET", _of_spider(project, name))


def choose_version(project: str, name: str, version: str) -> Call:
    return _send("PATCH", _of_spider(project, name), {"version": version})


def versions(project: str, name: str, cursor: str | None = None) -> Call:
    return Call("GET", _of_spider(project, name, "/versions"), {"cursor": cursor})


def version_diff(old: str, new: str) -> Call:
    return Call("GET", f"/versions/{quote(old, '')}/diff/{quote(new, '')}")


def create_version(files: Iterable[Mapping[str, Any]], project: str | None = None) -> Call:
    """`files`: {"path","sha256","size","mode"} each; their blobs were put before."""
    return _packed(_post("/versions", {"project": project, "files": list(files)}))


def missing_blobs(sha256: Iterable[str]) -> Call:
    return _packed(_post("/blobs/missing", {"sha256": list(sha256)}))


def put_blob(sha256: str, data: bytes) -> Call:
    return Call(
        "PUT", f"/blobs/{quote(sha256, '')}", body=data, headers={"Content-Type": "application/octet-stream"}
    )


def nodes(cursor: str | None = None) -> Call:
    return Call("GET", "/nodes", {"cursor": cursor})


def projects(cursor: str | None = None) -> Call:
    return Call("GET", "/projects", {"cursor": cursor})


def set_project(name: str, *, max_concurrency: int) -> Call:
    return _send("PUT", f"/projects/{quote(name, '')}", {"max_concurrency": max_concurrency})


def schedules(cursor: str | None = None) -> Call:
    return Call("GET", "/schedules", {"cursor": cursor})


def add_schedule(schedule: Mapping[str, Any]) -> Call:
    """{"project","spider","name","cron","timezone","overlap","catchup","enabled","params"}; only spider,
    name and cron are required."""
    return _post("/schedules", schedule)


def schedule(project: str, spider: str, name: str) -> Call:
    return Call("GET", _of_schedule(project, spider, name))


def put_schedule(project: str, spider: str, name: str, schedule: Mapping[str, Any]) -> Call:
    """New or changed; `schedule` as for `add_schedule`, without its name."""
    return _send("PUT", _of_schedule(project, spider, name), schedule)


def remove_schedule(project: str, spider: str, name: str) -> Call:
    return Call("DELETE", _of_schedule(project, spider, name))


def switch_schedule(project: str, spider: str, name: str, *, enabled: bool) -> Call:
    return _post(_of_schedule(project, spider, name, "/enable" if enabled else "/disable"), {})


def run_schedule(project: str, spider: str, name: str) -> Call:
    return _post(_of_schedule(project, spider, name, "/run"), {})


def _of_schedule(project: str, spider: str, name: str, rest: str = "") -> str:
    return "/schedules/" + "/".join(quote(part, "") for part in (project, spider, name)) + rest


def _of_task(task_id: str, rest: str = "") -> str:
    return f"/tasks/{quote(task_id, '')}{rest}"


def _of_spider(project: str, name: str, rest: str = "") -> str:
    return f"/spiders/{quote(project, '')}/{quote(name, '')}{rest}"


def _post(path: str, value: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Call:
    return _send("POST", path, value, headers)


def _send(method: str, path: str, value: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Call:
    return Call(
        method,
        path,
        body=json.dumps(value, ensure_ascii=False).encode(),  # refuses what is not UTF-8 here, not there
        headers={"Content-Type": JSON, **(headers or {})},
    )


def _packed(call: Call) -> Call:
    """For bodies that grow with a folder: hashes and paths need less than half of their bytes."""
    if call.body is None or len(call.body) < PACKED_FROM:
        return call
    headers = {**call.headers, "Content-Encoding": "gzip"}
    return replace(call, body=zlib.compress(call.body, wbits=_GZIP), headers=headers)


def _resume(last_event_id: str | None) -> dict[str, str]:
    accepted = {"Accept": "text/event-stream"}
    return accepted if last_event_id is None else accepted | {"Last-Event-ID": last_event_id}


def _text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
