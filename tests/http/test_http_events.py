"""Server-sent events over real sockets: hints, live logs, resuming, slow and closing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from tests.helpers import wait_until_async
from tests.http.conftest import TOKEN
from tests.http.problems import assert_problem
from tests.support.master_rig import Agent, Rig
from tests.support.openapi import check_event

from silkmill.adapters.http import event_stream, serving
from silkmill.client import AsyncClient, NoServer, Server
from silkmill.client.sse import ServerEvent
from silkmill.domain.statistics import Statistics
from silkmill.ports.link import Report

TIME = b"2026-03-01T12:00:00.000000000Z "
SECONDS = 10.0


@pytest.fixture
async def server(app: FastAPI) -> AsyncIterator[Server]:
    async with serving(app, "127.0.0.1", 0) as url:
        yield Server(url, TOKEN)


@pytest.fixture
async def live(server: Server) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(server) as client:
        yield client


def line(text: str, tag: str = "stdout") -> bytes:
    return TIME + f"{tag} F {text}\n".encode()


async def take(events: AsyncIterator[ServerEvent], *names: str) -> list[ServerEvent]:
    """The next events, which must have these names."""
    found = []
    for name in names:
        async with asyncio.timeout(SECONDS):
            found.append(await anext(events))
        assert found[-1].name == name, found
        check_event(name, found[-1].value)
    return found


async def take_until(events: AsyncIterator[ServerEvent], name: str) -> list[ServerEvent]:
    found = []
    async with asyncio.timeout(SECONDS):
        async for event in events:
            found.append(event)
            check_event(event.name, event.value)
            if event.name == name:
                return found
    raise AssertionError(f"no event {name}, but {found}")


def texts(events: list[ServerEvent]) -> list[str]:
    return [frame["text"] for event in events if event.name == "log" for frame in event.value]


async def test_hints_follow_a_task_and_tell_its_end_once(
    rig: Rig, agent: Agent, version: str, live: AsyncClient
) -> None:
    events = live.events()
    await take(events, "ready")
    task = await rig.submit()
    ref = await agent.completing()
    await agent.finish(ref)
    found = await take_until(events, "task.ended")
    assert {event.value["id"] for event in found} == {task.id}
    revisions = [event.value["revision"] for event in found]
    assert revisions == sorted(set(revisions))
    assert found[-1].value["state"] == "finished"
    await rig.tasks.change(task.id, lambda task: task)  # a final record may change once more
    assert (await take(events, "task"))[0].value["id"] == task.id


async def test_numbers_of_a_running_task_are_told_as_they_come(
    rig: Rig, agent: Agent, version: str, live: AsyncClient
) -> None:
    ref = await agent.running()
    events, log = live.events(), live.follow_log(ref.task_id)
    await take(events, "ready")
    await take(log, "state")
    numbers = Statistics(progress=0.5, errors=1, rss_bytes=4096)
    await rig.link.statistics(agent.session, [Report(ref, numbers)])
    (told,) = await take(events, "stats")
    assert (told.value["id"], told.value["attempt"], told.value["progress"]) == (ref.task_id, 1, 0.5)
    assert told.value["stats"] == (await live.task(ref.task_id))["stats"]
    assert told.value["stats"]["rss_bytes"] == 4096
    await agent.log(ref, line("a line"))
    assert texts(await take(log, "log")) == ["a line"]


async def test_a_client_that_was_away_reads_again(live: AsyncClient) -> None:
    await take(live.events(last_event_id="whatever:1"), "resync")


async def test_a_live_log_comes_with_its_states_and_ends(
    rig: Rig, agent: Agent, version: str, live: AsyncClient
) -> None:
    task = await rig.submit()
    events = live.follow_log(task.id)
    assert (await take(events, "state"))[0].value["state"] == "pending"
    ref = await agent.started()
    await take_until(events, "state")
    size = await agent.log(ref, line("one"))
    found = await take_until(events, "log")
    assert found[-1].id == f"1:{size}"
    size = await agent.log(ref, line("two") + TIME + b"stderr P \xff", offset=size)  # a torn frame waits
    size = await agent.log(ref, b"\n", offset=size)
    await agent.finish(ref, log_size=size)
    found += await take_until(events, "end")
    frames = [frame for event in found if event.name == "log" for frame in event.value]
    assert [frame.get("text") or frame["base64"] for frame in frames] == ["one", "two", "/w=="]
    assert frames[2] == {
        "time": TIME.decode().strip(),
        "stream": "stderr",
        "partial": True,
        "base64": "/w==",
    }
    assert found[-1].value["state"] == "finished"
    with pytest.raises(StopAsyncIteration):
        await anext(events)


async def test_a_log_goes_on_at_the_id_and_over_attempts(
    rig: Rig, agent: Agent, version: str, live: AsyncClient
) -> None:
    task = await rig.submit()
    ref = await agent.started()
    first = await agent.log(ref, line("seen"))
    size = await agent.log(ref, line("new"), offset=first)
    await agent.finish(
        ref, log_size=size, exit_code=None, started=False, preparation_error="no disk"
    )  # class system: tried again
    rig.clock.pass_time(60)
    await rig.recovery.tick()
    ref = await agent.started()
    size = await agent.log(ref, line("second attempt"))
    await agent.finish(ref, log_size=size)
    found = await take_until(live.follow_log(task.id, last_event_id=f"1:{first}"), "end")
    assert texts(found) == ["new", "second attempt"]
    assert texts(await take_until(live.follow_log(task.id), "end")) == ["second attempt"]
    assert texts(await take_until(live.follow_log(task.id, attempt=1), "end")) == ["seen", "new"]


async def test_the_log_of_an_attempt_that_went_with_its_worker_has_its_closing_line_once(
    rig: Rig, agent: Agent, version: str, live: AsyncClient
) -> None:
    task = await rig.submit()
    events = live.follow_log(task.id)
    ref = await agent.started()
    size = await agent.log(ref, line("seen"))
    found = await take_until(events, "log")
    agent.boot_id = "another boot"
    await agent.register()
    found += await take_until(events, "log")
    resumed = live.follow_log(task.id, last_event_id=found[-1].id)
    from_end = live.follow_log(task.id, last_event_id=f"1:{size}")
    ref = await agent.started()
    await agent.finish(ref, log_size=await agent.log(ref, line("second attempt")))
    found += await take_until(events, "end")
    closing = "lost: node node-1 came back without it"
    assert texts(found) == ["seen", closing, "second attempt"]
    assert texts(await take_until(resumed, "end")) == ["second attempt"]
    assert texts(await take_until(from_end, "end")) == [closing, "second attempt"]
    for which, expected in {
        "tail": (1, [closing]),
        "stream": ("stdout", ["seen"]),
        "grep": ("^lost", [closing]),
        "last_event_id": (f"1:{size}", [closing]),
    }.items():
        given = {which: expected[0]}
        assert texts(await take_until(live.follow_log(task.id, attempt=1, **given), "end")) == expected[1]


async def test_a_live_log_can_begin_near_its_end_and_be_filtered(
    rig: Rig, agent: Agent, version: str, live: AsyncClient
) -> None:
    task = await rig.submit()
    ref = await agent.started()
    size = await agent.log(ref, b"".join(line(f"line {n}") for n in range(100)) + line("odd", "stderr"))
    await agent.finish(ref, log_size=size)
    assert texts(await take_until(live.follow_log(task.id, tail=2), "end")) == ["line 99", "odd"]
    assert texts(await take_until(live.follow_log(task.id, tail=0), "end")) == []
    assert texts(await take_until(live.follow_log(task.id, stream="stderr"), "end")) == ["odd"]
    assert texts(await take_until(live.follow_log(task.id, grep="line 7$"), "end")) == ["line 7"]


async def test_a_live_log_is_narrowed_by_level_and_field_and_time(
    rig: Rig, agent: Agent, version: str, live: AsyncClient
) -> None:
    task = await rig.submit()
    ref = await agent.started()
    begin = line("ERROR:root:failed", "stderr")
    following = live.follow_log(task.id, level="error")
    await agent.log(ref, begin)
    first = await take_until(following, "log")
    rest = (
        line("  details", "stderr")
        + line("hello")
        + line('{"level":"error","fields":{"a":"b"}}', "stdout/json")
    )
    size = await agent.log(ref, rest, len(begin))
    later = line("later").replace(b"12:00:00", b"12:00:05")
    size = await agent.log(ref, later, size)
    await agent.finish(ref, log_size=size)
    message = '{"level":"error","fields":{"a":"b"}}'
    assert texts([*first, *await take_until(following, "end")]) == ["ERROR:root:failed", "  details", message]
    position = f"1:{len(begin)}"
    resumed = await take_until(live.follow_log(task.id, level="error", last_event_id=position), "end")
    assert texts(resumed) == ["  details", message]
    assert texts(await take_until(live.follow_log(task.id, level="error", tail=1), "end")) == [message]
    assert texts(await take_until(live.follow_log(task.id, where=["a=b"]), "end")) == [message]
    since = "2026-03-01T12:00:01Z"
    assert texts(await take_until(live.follow_log(task.id, since=since), "end")) == ["later"]


@pytest.mark.parametrize("given", ["x", "1", "0:5", "1:-1", "1:1:1"])
async def test_an_id_that_is_no_position_is_refused(
    rig: Rig, version: str, http: httpx.AsyncClient, given: str
) -> None:
    task = await rig.submit()
    answer = await http.get(f"/api/v1/tasks/{task.id}/log/stream", headers={"Last-Event-ID": given})
    assert_problem(answer, 422, "Last-Event-ID")


async def test_a_quiet_stream_gives_signs_of_life(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("silkmill.adapters.http.event_stream.next_within.__defaults__", (0.05,))
    async with (
        httpx.AsyncClient(base_url=server.url, headers={"Authorization": f"Bearer {TOKEN}"}) as http,
        http.stream("GET", "/api/v1/events") as answer,
    ):
        text = b""
        async with asyncio.timeout(SECONDS):
            async for piece in answer.aiter_raw():
                text += piece
                if text.count(event_stream.HEARTBEAT) >= 2:
                    return


async def test_a_client_that_takes_nothing_is_let_go(
    rig: Rig, version: str, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its hints wait in a bounded queue, and its connection ends."""
    monkeypatch.setattr(event_stream, "SLOW_CLIENT_SECONDS", 0.2)
    async with serving(app, "127.0.0.1", 0) as url:
        port = int(url.rpartition(":")[2])
        slow = socket.create_connection(("127.0.0.1", port))
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        request = f"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
        slow.sendall(request.encode())
        async with asyncio.timeout(SECONDS):
            await wait_until_async(lambda: asyncio.sleep(0, bool(rig.feed._subscriptions)))
            (subscription,) = rig.feed._subscriptions
            task = await rig.submit()
            while rig.feed._subscriptions:
                for _ in range(1000):
                    await rig.tasks.change(task.id, lambda task: task)
                assert len(subscription._hints) <= 4096
                await asyncio.sleep(0.01)
        slow.close()


async def test_streams_end_when_the_server_closes(app: FastAPI) -> None:
    async with asyncio.timeout(SECONDS):
        async with serving(app, "127.0.0.1", 0) as url:
            client = AsyncClient(Server(url, TOKEN))
            events = client.events()
            await take(events, "ready")
        with pytest.raises(StopAsyncIteration):
            await anext(events)


async def test_a_server_without_grace_leaves_its_address_too(app: FastAPI) -> None:
    async with serving(app, "127.0.0.1", 0, grace_seconds=0) as url:
        assert await AsyncClient(Server(url, TOKEN)).nodes() is not None
    with pytest.raises(NoServer):
        await AsyncClient(Server(url, TOKEN)).nodes()


async def test_an_address_in_use_is_told(app: FastAPI) -> None:
    from silkmill.domain.errors import BadInput

    async with serving(app, "127.0.0.1", 0) as url:
        with pytest.raises(BadInput, match="cannot listen"):
            async with serving(app, "127.0.0.1", int(url.rpartition(":")[2])):
                pass
