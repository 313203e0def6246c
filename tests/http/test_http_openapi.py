"""docs/openapi.json: it is what the code says, and what the server does."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
from collections.abc import Awaitable, Iterator
from typing import Any

import httpx
import pytest
from tests.http.problems import assert_problem
from tests.support.json_schema import faults
from tests.support.master_rig import Agent, Rig
from tests.support.openapi import DOCUMENT, CheckedTransport
from tests.tools.openapi import PAGE, page

NEWS = "/api/v1/spiders/default/news"
NIGHTLY = "/api/v1/schedules/default/news/nightly"
MAIN = b"print()\n"
TOML = b'name = "news"\ncommand = "/bin/true"\n'


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        yield from ((path, method, operation) for method, operation in methods.items())


def test_the_document_is_what_the_code_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "renew it: python -m tests.tools.openapi"


async def test_the_server_gives_the_document(http: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(http.get("/api/v1/openapi.json") for _ in range(2)))
    assert [answer.text for answer in answers] == [PAGE.read_text(encoding="utf-8").rstrip("\n")] * 2


def test_it_is_not_made_before_somebody_asks_for_it() -> None:
    code = (
        "import sys\n"
        "from unittest.mock import Mock\n"
        "from silkmill.adapters.http import Parts, create_app\n"
        "app = create_app(Mock(spec=Parts), '')\n"
        "assert app.state.document is None\n"
        "assert 'silkmill.adapters.http.document' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_everything_is_described() -> None:
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(ids) == len(set(ids)) > 30
    for path, method, operation in operations():
        said = operation["summary"], operation["description"], operation["tags"]
        assert all(said), (path, method)
        assert ("security" in operation) == (operation["tags"] != ["probes"])
        for parameter in operation.get("parameters", ()):
            assert parameter["description"], (path, method, parameter["name"])
            assert parameter["schema"]["type"] if "$ref" not in parameter["schema"] else True


def test_nothing_refers_to_what_is_not_there() -> None:
    def references(part: Any) -> Iterator[str]:
        if isinstance(part, dict):
            yield from [part["$ref"]] if "$ref" in part else []
        for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
            yield from references(inner)

    known = {
        f"#/components/{kind}/{name}"
        for kind in DOCUMENT["components"]
        for name in DOCUMENT["components"][kind]
    }
    schemas = {name for name in known if "/securitySchemes/" not in name}
    assert set(references(DOCUMENT)) == schemas


@pytest.fixture
async def lived(rig: Rig, version: str, agent: Agent, http: httpx.AsyncClient) -> str:
    """The id of a task that runs, with a schedule of its spider; another one has ended, a third one waits."""
    await http.put(NIGHTLY, json={"cron": "0 1 * * *"})
    ended = await rig.submit()
    ref = await agent.completing()
    size = await agent.log(ref, b"2026-03-01T12:00:00.000000000Z stdout F hello\n")
    await agent.items(ref, [b'{"n": 1}'])
    stored = {"log_size": size, "items_size": 9, "items_count": 1}
    await agent.finish(ref, **stored, progress=0.5, errors=3, max_rss_bytes=4096, cpu_seconds=0.25)
    assert (await rig.task(ended.id)).state.final
    rig.clock.pass_time(1)
    running = await agent.running()
    await rig.submit()
    return running.task_id


async def test_every_success_of_the_document_can_be_had(
    http: httpx.AsyncClient, transport: CheckedTransport, rig: Rig, lived: str
) -> None:
    """Each answer on the way is held against the document by the transport."""
    task = f"/api/v1/tasks/{lived}"
    version = (await http.get(NEWS)).json()["version"]
    files = [
        {"path": path, "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
        for path, content in {"main.py": MAIN, "spider.toml": TOML}.items()
    ]
    done = [
        *[await http.get(path) for path in ("/healthz", "/readyz", "/api/v1/healthz", "/api/v1/readyz")],
        *[
            await http.get(f"/api/v1/{noun}")
            for noun in ("tasks", "tasks/counts", "spiders", "nodes", "projects", "metrics")
        ],
        *[await http.get(f"{task}{part}") for part in ("", "/why", "/stats", "/log", "/items?format=json")],
        *[await http.get(f"{task}/{part}") for part in ("log?raw=true", "items", "items?format=csv")],
        await http.get("/api/v1/logs?spider=news"),
        await http.get("/api/v1/logs/system"),
        await http.get("/api/v1/openapi.json"),
        await http.get(NEWS + "/versions"),
        await http.patch(NEWS, json={"version": version}),
        await http.post("/api/v1/blobs/missing", json={"sha256": [file["sha256"] for file in files]}),
        *[
            await http.put(f"/api/v1/blobs/{hashlib.sha256(data).hexdigest()}", content=data)
            for data in (MAIN, TOML)
        ],
        newer := await http.post("/api/v1/versions", json={"files": files}),
        await http.post(NEWS + "/versions", json={"files": files}),
        await http.get(f"/api/v1/versions/{version}/diff/{newer.json()['id']}"),
        await http.put("/api/v1/projects/shop", json={"max_concurrency": 2}),
        waiting := await http.post("/api/v1/tasks", json={"spider": "news"}),
        await http.post("/api/v1/tasks/bulk", json=[{"spider": "news"}]),
        await http.post(f"{task}/cancel"),
        await http.post(f"{waiting.headers['location']}/cancel", json={"force": True}),
        await http.post(f"{waiting.headers['location']}/retry"),
        await http.post(NIGHTLY + "/run"),
        await http.get("/api/v1/schedules"),
        await http.post("/api/v1/schedules", json={"spider": "news", "name": "other", "cron": "0 2 * * *"}),
        await http.put(NIGHTLY, json={"cron": "0 2 * * *"}),
        *[await http.post(f"{NIGHTLY}/{switch}") for switch in ("disable", "enable")],
        await http.get(NIGHTLY),
        await http.delete(NIGHTLY),
    ]
    assert all(answer.is_success for answer in done), [answer.text for answer in done if answer.is_error]
    wanted = {
        (path, method, status)
        for path, method, operation in operations()
        for status, answer in operation["responses"].items()
        if status.startswith("2") and "text/event-stream" not in answer.get("content", {})
    }
    assert wanted - transport.seen.keys() == set()


def beyond(schema: dict[str, Any]) -> list[str]:
    """Values that a parameter must not have."""
    wrong = []
    if "items" in schema:
        return beyond(schema["items"])
    if "$ref" in schema:
        return beyond(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "minimum" in schema:
        wrong.append(str(schema["minimum"] - 1))
    if "maximum" in schema:
        wrong.append(str(schema["maximum"] + 1))
    if {"enum", "pattern", "format"} & schema.keys() or schema["type"] in ("integer", "boolean"):
        wrong.append("~")
    return wrong


def within(schema: dict[str, Any]) -> list[str]:
    """The first and the last that it may have."""
    if "items" in schema:
        return within(schema["items"])
    if "$ref" in schema:
        return within(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    edges = [str(schema[edge]) for edge in ("minimum", "maximum") if edge in schema]
    return edges + [str(value) for value in schema.get("enum", ())]


def asked(values: Any) -> list[tuple[str, str, str]]:
    return [
        (path, parameter["name"], value)
        for path, method, operation in operations()
        for parameter in operation.get("parameters", ())
        if method == "get" and parameter["in"] == "query"
        for value in values(parameter["schema"])
    ]


def ask(http: httpx.AsyncClient, path: str, name: str, value: str, task: str) -> Awaitable[httpx.Response]:
    needed = {"spider": "news"} if path == "/api/v1/logs" else {}
    where = path.format(task_id=task, project="default", name="news")
    return http.get(where, params=needed | {name: value})


async def test_what_is_beyond_a_bound_is_refused(http: httpx.AsyncClient, lived: str) -> None:
    assert len(asked(beyond)) > 40
    for path, name, value in asked(beyond):
        assert_problem(await ask(http, path, name, value, lived), 422, name)


async def test_what_is_at_a_bound_is_taken(http: httpx.AsyncClient, lived: str) -> None:
    assert len(asked(within)) > 30
    for path, name, value in asked(within):
        if not path.endswith("/stream"):  # which has no end
            answer = await ask(http, path, name, value, lived)
            assert answer.is_success, (path, name, value, answer.text)


@pytest.mark.parametrize(
    ("path", "method", "schema"),
    [
        (path, method, content["application/json"]["schema"])
        for path, method, operation in operations()
        if "$ref"
        in (content := operation.get("requestBody", {}).get("content", {}))
        .get("application/json", {})
        .get("schema", {})
    ],
)
async def test_the_fields_of_a_body_are_those_of_the_document(
    http: httpx.AsyncClient, lived: str, path: str, method: str, schema: dict[str, Any]
) -> None:
    said = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    assert said["additionalProperties"] is False
    where = path.format(task_id=lived, project="default", name="news", spider="news")
    assert_problem(await http.request(method, where, json={"~": 1}), 422, "~")
    for name in said.get("required", ()):
        given = {other: DUMMY[other] for other in said["required"] if other != name}
        assert_problem(await http.request(method, where, json=given), 422, name)
    for name in said["properties"]:
        assert_problem(await http.request(method, where, json={name: 1.5}), 422, name)


DUMMY = {
    "spider": "news",
    "cron": "0 1 * * *",
    "name": "x",
    "files": [],
    "sha256": [],
    "version": "",
    "max_concurrency": 0,
}


@pytest.mark.parametrize(
    "lie",
    [
        {"id": None},
        {"id": 1},
        {"more": 1},
        {"state": "asleep"},
        {"until": "yesterday"},
        {"until": "2026-03-01T12:00:00"},
    ],
)
def test_an_answer_that_is_otherwise_is_found(lie: dict[str, Any]) -> None:
    schema = DOCUMENT["components"]["schemas"]["Why"]
    right = {
        "id": "a",
        "state": "running",
        "waits_for": "spider",
        "text": "",
        "until": "2026-03-01T12:00:00Z",
    }
    assert list(faults(right, schema, DOCUMENT)) == []
    assert list(faults(right | lie, schema, DOCUMENT))
    for name in right:
        assert list(faults({other: right[other] for other in right if other != name}, schema, DOCUMENT))
