"""Calls as values, errors as exit codes, events out of bytes; both clients over a real socket."""

from __future__ import annotations

import gzip
import hashlib
import inspect
import json
import socket
import threading
from collections.abc import Iterator

import pytest

from silkmill.client import AsyncClient, Client, ConnectionLost, Problem, Server, calls
from silkmill.client.answer import read_object
from silkmill.client.sse import EventReader, ServerEvent


def test_a_target_is_quoted_and_leaves_out_what_is_absent() -> None:
    call = calls.list_tasks(states=["error", "running"], tag="a b&c", limit=5)
    assert call.target == "/api/v1/tasks?state=error&state=running&tag=a+b%26c&limit=5"
    assert calls.list_tasks().target == "/api/v1/tasks"
    assert calls.task("../x?y").target == "/api/v1/tasks/..%2Fx%3Fy"
    assert calls.log("t", raw=True).target == "/api/v1/tasks/t/log?raw=true"


def test_the_bodies_of_a_large_folder_go_packed() -> None:
    shas = [hashlib.sha256(b"%d" % number).hexdigest() for number in range(1_000)]
    call = calls.missing_blobs(shas)
    assert call.body is not None
    assert call.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(call.body)) == {"sha256": shas}
    assert len(call.body) < 40_000
    small = calls.missing_blobs(shas[:10])
    assert small.body is not None
    assert "Content-Encoding" not in small.headers
    assert json.loads(small.body) == {"sha256": shas[:10]}


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, 2), (401, 5), (404, 4), (409, 2), (413, 2), (421, 5), (422, 2), (500, 5), (503, 5)],
)
def test_a_problem_has_the_exit_code_of_the_contract(status: int, code: int) -> None:
    assert Problem.of(status, b'{"detail": "d", "remedy": "r", "field": "f"}').exit_code == code


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b"\xff"])
def test_a_problem_may_come_from_something_else(body: bytes) -> None:
    problem = Problem.of(502, body)
    assert problem.detail
    assert problem.remedy is None


def test_both_clients_have_the_same_calls() -> None:
    def public(kind: type) -> set[str]:
        return {name for name, _ in inspect.getmembers(kind, inspect.isroutine) if not name.startswith("_")}

    assert public(Client) - public(AsyncClient) == {"every_task"}
    assert public(AsyncClient) <= public(Client)


def test_a_number_that_python_cannot_hold_stays_text() -> None:
    digits = "7" * 6000
    body = f'{{"n":{digits},"big":-1e400,"é":1.5,"i":12345678901234567890123}}'.encode()
    assert read_object(body) == {"n": digits, "big": "-1e400", "é": 1.5, "i": 12345678901234567890123}


STREAM = (
    ": comment\n\nid: 1:5\nevent: log\ndata: [1,\ndata: 2]\n\n"
    'event: state\ndata: {"x": "\u2028\x85é"}\n\ndata:plain\n\nevent: empty\n\n'
).encode()
EVENTS = [
    ServerEvent("log", "[1,\n2]", "1:5"),
    ServerEvent("state", '{"x": "\u2028\x85é"}', "1:5"),
    ServerEvent("message", "plain", "1:5"),
]


@pytest.mark.parametrize("length", [1, 2, 3, 7, 1000])
def test_events_come_out_of_any_pieces(length: int) -> None:
    reader = EventReader()
    pieces = [STREAM[start : start + length] for start in range(0, len(STREAM), length)]
    assert [event for piece in pieces for event in reader.feed(piece)] == EVENTS
    assert EVENTS[0].value == [1, 2]


@pytest.fixture
def answers() -> Iterator[tuple[Server, list[bytes]]]:
    """A server that gives one prepared answer to each connection, then closes it."""
    prepared: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    if prepared:
                        connection.sendall(prepared.pop(0))

        threading.Thread(target=serve, daemon=True).start()
        yield Server(f"http://127.0.0.1:{listener.getsockname()[1]}", "t"), prepared
        listener.shutdown(socket.SHUT_RDWR)


CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"
CUT_CHUNK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1"
BETWEEN_CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[1\r\n"
BROKEN = [b"", b"nonsense\r\n\r\n", CUT, CUT_CHUNK, BETWEEN_CHUNKS]
PROBLEM = b'HTTP/1.1 404 Not Found\r\nContent-Length: 15\r\n\r\n{"detail": "x"}'


@pytest.mark.parametrize("answer", BROKEN)
def test_a_connection_that_breaks_is_told(answers: tuple[Server, list[bytes]], answer: bytes) -> None:
    server, prepared = answers
    prepared += [answer, answer]
    with pytest.raises(ConnectionLost, match="went away"), Client(server) as client:
        client.nodes()
    with pytest.raises(ConnectionLost), Client(server) as client:
        list(client.items("t"))


@pytest.mark.parametrize("answer", BROKEN)
async def test_the_async_client_tells_it_too(answers: tuple[Server, list[bytes]], answer: bytes) -> None:
    server, prepared = answers
    prepared += [answer]
    with pytest.raises(ConnectionLost, match="went away"):
        async with AsyncClient(server) as client:
            await client.nodes()


async def test_both_clients_raise_the_problem(answers: tuple[Server, list[bytes]]) -> None:
    server, prepared = answers
    prepared += [PROBLEM, PROBLEM, PROBLEM]
    with pytest.raises(Problem) as raised, Client(server) as client:
        client.task("t")
    assert (raised.value.status, str(raised.value)) == (404, "x")
    with pytest.raises(Problem), Client(server) as client:
        list(client.log("t"))
    with pytest.raises(Problem):
        async with AsyncClient(server) as async_client:
            await async_client.task("t")
