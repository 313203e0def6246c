"""Bad input to every endpoint: a problem with what is wrong and what to do, and nothing half-done."""

from __future__ import annotations

import http.client
import json
import re
import select
import socket
import urllib.error
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.engine.server import Server, spider_folder

API = "/api/v1"
TOML = '[params.n]\ntype = "int"\ndefault = 1\n'
ZEROS = "0" * 64
HUGE = 10**30
MIB = 1 << 20


@dataclass(frozen=True)
class Answer:
    status: int
    kind: str
    body: Any


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one deployed spider and one finished task."""
    folder = tmp_path_factory.mktemp("bad-requests")
    with Server(folder / "data", max_runners=1) as server:
        server.deploy(spider_folder(folder, "hello", "print('hello')\n", TOML))
        server.wait(server.submit("hello"), "finished")
        yield server


def ask(server: Server, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
    """One request just as it is given; `{task}` in the path is the finished task."""
    url = server.facts()["url"].removeprefix("http://")
    token = (server.data / "token").read_text().strip()
    task = server.call("GET", "/tasks/last")["id"] if "{task}" in path else ""
    connection = http.client.HTTPConnection(url, timeout=30)
    try:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(
            method, path.replace("{task}", task), body, {"Authorization": f"Bearer {token}"} | given
        )
        answer = connection.getresponse()
        content = answer.read()
        kind = answer.getheader("content-type") or ""
        return Answer(answer.status, kind, json.loads(content) if "json" in kind else content)
    finally:
        connection.close()


def stored(server: Server) -> dict[str, Any]:
    """All that a request could have made."""
    return {
        "tasks": [(task["id"], task["state"]) for task in server.call("GET", "/tasks?limit=200")["tasks"]],
        "spiders": server.call("GET", "/spiders"),
        "versions": server.call("GET", "/spiders/default/hello/versions"),
        "objects": sorted(path.name for path in (server.data / "bucket").rglob("*") if path.is_file()),
    }


def check_refused(server: Server, answer: Answer, status: int, before: dict[str, Any]) -> None:
    assert answer.status == status, answer
    assert answer.kind == "application/problem+json"
    assert answer.body["status"] == status
    assert answer.body["title"] and answer.body["detail"] and answer.body["remedy"], answer.body
    assert stored(server) == before


QUERIES = [
    *(
        ("/tasks", query)
        for query in ("state=odd", "state=", "limit=0", "limit=201", "limit=x", f"limit={HUGE}")
    ),
    *(("/tasks", query) for query in ("state=odd", "state=", "since=yesterday", "since=2026-01-01T00:00:00")),
    *(("/tasks", f"cursor={value}") for value in ("x", "", "%00")),
    *(("/tasks/{task}/log", f"attempt={value}") for value in ("0", "-1", "x")),
    *(("/tasks/{task}/log", f"offset={value}") for value in ("-1", "x")),
    *(("/tasks/{task}/log", f"limit={value}") for value in ("0", "x", 2 * MIB)),
    *(("/tasks/{task}/log", f"tail={value}") for value in ("-1", "10001")),
    *(("/tasks/{task}/log", query) for query in ("stream=odd", "raw=maybe", "grep=(")),
    *(("/tasks/{task}/log", query) for query in ("grep=" + "(" * 2000, "grep=a{99999999999}")),
    *(("/tasks/{task}/log/stream", query) for query in ("attempt=0", "tail=-1", "stream=odd", "grep=(")),
    *(("/tasks/{task}/items", query) for query in ("attempt=0", "cursor=-1", "limit=0", "format=xml")),
]


@pytest.mark.parametrize(("path", "query"), QUERIES, ids=lambda value: value[:40])
def test_a_bad_query(up: Server, path: str, query: str) -> None:
    before = stored(up)
    answer = ask(up, "GET", f"{API}{path}?{query}")
    check_refused(up, answer, 422, before)
    assert answer.body["field"] == query.split("=")[0]


NAMES = [
    "nobody",
    "%00%00%00%00%00%00",
    "..%2F..%2Fetc",
    "a" * 3000,
    "%ff%fe%fd%fc%fb%fa",
    "%25%25%25%25%25%25",
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:20])
def test_a_task_that_is_not_there(up: Server, name: str) -> None:
    before = stored(up)
    for end in ("", "/log", "/log/stream", "/items", "/why"):
        check_refused(up, ask(up, "GET", f"{API}/tasks/{name}{end}"), 404, before)
    for end in ("/cancel", "/retry"):
        check_refused(up, ask(up, "POST", f"{API}/tasks/{name}{end}"), 404, before)


@pytest.mark.parametrize(
    "path",
    [
        "/tasks/{task}/log?attempt=9",
        "/tasks/{task}/log/stream?attempt=9",
        "/tasks/{task}/items?attempt=9",
        f"/tasks/{{task}}/items?attempt={HUGE}",
        "/spiders/default/nobody",
        "/spiders/default/nobody/versions",
        "/spiders/%00/hello",
        "/nothing-here",
        "/tasks/{task}/nothing-here",
    ],
)
def test_what_is_not_there(up: Server, path: str) -> None:
    check_refused(up, ask(up, "GET", API + path), 404, stored(up))


def test_an_id_that_is_too_short(up: Server) -> None:
    check_refused(up, ask(up, "GET", f"{API}/tasks/abc"), 422, stored(up))


SUBMISSIONS = {
    "": None,
    "{": None,
    "[1]": None,
    "null": None,
    '{"spider":5}': "spider",
    '{"spidr":"hello"}': "spidr",
    '{"project":"default"}': "spider",
    '{"spider":"hello","params":[]}': "params",
    '{"spider":"hello","params":{"odd":1}}': "params.odd",
    '{"spider":"hello","params":{"n":"many"}}': "params.n",
    '{"spider":"hello","params":{"n":true}}': "params.n",
    '{"spider":"hello","params":{"n":NaN}}': None,
    '{"spider":"hello","params":{"n":"\\ud800"}}': None,
    '{"spider":"hello","priority":0}': "priority",
    '{"spider":"hello","priority":11}': "priority",
    '{"spider":"hello","priority":1.5}': "priority",
    f'{{"spider":"hello","priority":{HUGE}}}': "priority",
    '{"spider":"hello","env":{"A=B":"x"}}': "env.A=B",
    '{"spider":"hello","env":{"A":"\\u0000"}}': "env.A",
    '{"spider":"hello","env":{"SILKMILL_TASK_ID":"x"}}': "env.SILKMILL_TASK_ID",
    '{"spider":"hello","env":{"A":1}}': "env",
    '{"spider":"hello","tags":"x"}': "tags",
    '{"spider":"hello","tags":[1]}': "tags",
    '{"spider":"hello","version":5}': "version",
    '{"spider":"hello"} and more': None,
    '{"spider":"hello","params":' + '{"a":' * 100_000: None,
    "[" * 100_000: None,
}


@pytest.mark.parametrize("body", SUBMISSIONS, ids=lambda body: body[:40] or "empty")
def test_a_bad_submission(up: Server, body: str) -> None:
    before = stored(up)
    answer = ask(up, "POST", f"{API}/tasks", body.encode())
    check_refused(up, answer, 422, before)
    if SUBMISSIONS[body]:
        assert (answer.body["field"] or "").startswith(SUBMISSIONS[body].split(".")[0]), answer.body
    check_refused(up, ask(up, "POST", f"{API}/tasks/bulk", body.encode()), 422, before)


@pytest.mark.parametrize("body", [b"\xff\xfe", b'{"spider":"\xff"}', b'{"spider":"hello","tags":["\xc3"]}'])
def test_a_body_that_is_no_text(up: Server, body: bytes) -> None:
    for path in ("/tasks", "/tasks/bulk", "/versions", "/blobs/missing", "/tasks/{task}/cancel"):
        check_refused(up, ask(up, "POST", API + path, body), 422, stored(up))


@pytest.mark.parametrize("line", ['{"spider":"nobody"}', '{"spider":"hello","priority":99}', "x", "", "5"])
def test_one_bad_line_refuses_all_of_them(up: Server, line: str) -> None:
    before, good = stored(up), '{"spider":"hello"}'
    answer = ask(up, "POST", f"{API}/tasks/bulk", "\n".join([good, good, line, good]).encode())
    check_refused(up, answer, 422, before)
    assert answer.body["detail"].startswith("line 3:"), answer.body


def test_too_many_lines(up: Server) -> None:
    before = stored(up)
    check_refused(up, ask(up, "POST", f"{API}/tasks/bulk", b'{"spider":"hello"}\n' * 100_001), 422, before)


@pytest.mark.parametrize("fields", [{"spider": "nobody"}, {"spider": "hello", "version": "v0"}])
def test_a_spider_or_version_that_is_not_there(up: Server, fields: dict[str, str]) -> None:
    check_refused(up, ask(up, "POST", f"{API}/tasks", json.dumps(fields).encode()), 404, stored(up))


def test_an_idempotency_key_with_another_body(up: Server) -> None:
    first = ask(up, "POST", f"{API}/tasks", b'{"spider":"hello"}', Idempotency_Key="k")
    up.wait(first.body["id"])
    again = ask(up, "POST", f"{API}/tasks", b'{"spider":"hello"}', Idempotency_Key="k")
    assert again.body["id"] == first.body["id"]
    before = stored(up)
    other = ask(up, "POST", f"{API}/tasks", b'{"spider":"hello","priority":3}', Idempotency_Key="k")
    check_refused(up, other, 422, before)


@pytest.mark.parametrize("body", [b"x", b"[]", b'{"force":"yes"}', b'{"forse":true}', b"null"])
def test_a_bad_cancel(up: Server, body: bytes) -> None:
    check_refused(up, ask(up, "POST", f"{API}/tasks/{{task}}/cancel", body), 422, stored(up))


def test_a_retry_of_what_still_runs(up: Server, tmp_path: Path) -> None:
    up.deploy(spider_folder(tmp_path, "sleeps", "import time\ntime.sleep(600)\n"))
    task_id = up.submit("sleeps")
    up.wait(task_id, "running")
    check_refused(up, ask(up, "POST", f"{API}/tasks/{task_id}/retry"), 409, stored(up))
    up.call("POST", f"/tasks/{task_id}/cancel", {"force": True})
    up.wait(task_id, "cancelled")


def entry(path: str = "spider.toml", sha256: str = ZEROS, **more: Any) -> dict[str, Any]:
    return {"path": path, "sha256": sha256, "size": 1, "mode": 0o644} | more


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        {"files": 5},
        {"files": []},
        {"file": []},
        {"files": [{"path": "spider.toml"}]},
        {"files": [entry()]},
        {"files": [entry(sha256="x")]},
        {"files": [entry(path="../spider.toml")]},
        {"files": [entry(path="/etc/passwd")]},
        {"files": [entry(path="a\0b")]},
        {"files": [entry(mode=0o4755)]},
        {"files": [entry(size=-1)]},
        {"files": [entry(), entry()]},
    ],
    ids=lambda manifest: json.dumps(manifest)[:60],
)
def test_a_bad_manifest(up: Server, manifest: dict[str, Any]) -> None:
    before, body = stored(up), json.dumps(manifest).encode()
    for path in ("/versions", "/spiders/default/hello/versions"):
        check_refused(up, ask(up, "POST", API + path, body), 422, before)


def test_the_folder_of_another_spider(up: Server, tmp_path: Path) -> None:
    folder = spider_folder(tmp_path, "other", "")
    (folder / "spider.toml").write_text('name = "hello"\ncommand = "true"\n')
    before = stored(up)
    with pytest.raises(urllib.error.HTTPError, match="422") as refused:
        up.deploy(folder)
    assert "hello" in json.loads(refused.value.read())["detail"]
    assert made_of(stored(up)) == made_of(before)


def made_of(found: dict[str, Any]) -> dict[str, Any]:
    """All but blobs: those of a version that was refused stay until they are collected."""
    return {name: value for name, value in found.items() if name != "objects"}


@pytest.mark.parametrize(
    "toml", ['name = "hello"\n', 'nmae = "x"\ncommand = "true"\n', "not toml", 'name = "../x"\n']
)
def test_a_bad_spider_toml_makes_no_version(up: Server, tmp_path: Path, toml: str) -> None:
    folder = spider_folder(tmp_path, "hello", "")
    (folder / "spider.toml").write_text(toml)
    before = stored(up)
    with pytest.raises(urllib.error.HTTPError, match="422"):
        up.deploy(folder)
    assert made_of(stored(up)) == made_of(before)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"sha256":"x"}', b'{"sha256":["x"]}', b'{"sha256":[1]}'])
def test_bad_hashes(up: Server, body: bytes) -> None:
    check_refused(up, ask(up, "POST", f"{API}/blobs/missing", body), 422, stored(up))


@pytest.mark.parametrize("name", ["x", ZEROS, "A" * 64])
def test_a_blob_under_a_wrong_name(up: Server, name: str) -> None:
    check_refused(up, ask(up, "PUT", f"{API}/blobs/{name}", b"content"), 422, stored(up))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/tasks"),
        ("PATCH", "/tasks/{task}"),
        ("POST", "/nodes"),
        ("GET", "/blobs/missing"),
    ],
)
def test_a_method_that_is_not_there(up: Server, method: str, path: str) -> None:
    check_refused(up, ask(up, method, API + path), 405, stored(up))


def test_a_method_that_is_none(up: Server) -> None:
    check_refused(up, ask(up, "ODD", f"{API}/tasks"), 400, stored(up))


@pytest.mark.parametrize("line", [b"name: " + b"x" * 1000 + b"\r\n", b"x" * 1000], ids=["many", "one"])
def test_headers_without_an_end(up: Server, line: bytes) -> None:
    host, port = up.facts()["url"].removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nfirst: ")
        sent = 0
        while not select.select([connection], [], [], 0.001)[0]:
            sent += connection.send(line)
            assert sent < MIB, "the server reads on and on"
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 431 ") and b'"remedy"' in answer


DOCS = Path(__file__).parents[2] / "docs" / "http.md"
ROUTES = re.findall(rf"^### (\w+) {API}(\S+)$", DOCS.read_text(), re.MULTILINE)
"""Every one: a test of the API keeps page and application equal."""
PROBES = {("GET", "/healthz"), ("GET", "/readyz")}
NO_INPUT = {("GET", f"/{noun}") for noun in ("events", "metrics", "openapi.json", "tasks/counts")} | PROBES


@pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if route not in NO_INPUT])
def test_every_route_refuses_what_is_no_input_at_all(up: Server, method: str, path: str) -> None:
    """Names that nothing has, a query of rubbish, half a body: whatever of it a route takes."""
    before = stored(up)
    nonsense = re.sub(r"\{\w+\}", "no%00where", path)
    body = None if method == "GET" else b'{"'
    answer = ask(up, method, f"{API}{nonsense}?limit=x&state=odd&attempt=x&level=odd", body)
    check_refused(up, answer, 404 if answer.status == 404 else 422, before)
    assert answer.status == 422 or nonsense != path, answer


@pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if route not in PROBES])
def test_without_the_token_and_under_a_foreign_name(up: Server, method: str, path: str) -> None:
    before = stored(up)
    for token in ("", "Bearer", "Bearer x", "Basic eDp4", "Bearer \xe9"):
        check_refused(up, ask(up, method, API + path, b"", Authorization=token), 401, before)
    check_refused(up, ask(up, method, API + path, b"", Host="crawls.example"), 421, before)


def test_a_body_that_is_too_large(up: Server) -> None:
    before = stored(up)
    declared = ask(up, "POST", f"{API}/tasks", b"", Content_Length=str(5 * MIB))
    check_refused(up, declared, 413, before)
    check_refused(
        up, ask(up, "POST", f"{API}/blobs/{ZEROS}", b"", Content_Length=str(600 * MIB)), 413, before
    )


def test_after_all_of_it_the_server_works(up: Server) -> None:
    assert up.wait(up.submit("hello"))["state"] == "finished"
    assert "Traceback" not in up.own_log()
