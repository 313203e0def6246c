"""A master that is away, loses answers, or refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from worker_driver import WorkerDriver, ended, processes_of, start_time, stdout_of, system_lines, wait_until
from worker_master import FakeMaster, Stored

from silkmill.domain.errors import Unavailable
from silkmill.domain.states import Phase
from silkmill.worker.execution import Execution
from silkmill.worker.runner import Runner

CHATTY = """
import sys, time
for i in range(%d):
    print('{"type":"INSERT_DATA","payload":{"n":%%d}}' %% i)
    print("line", i)
    sys.stdout.flush()
    time.sleep(0.001)
"""
CALLS = ["accept", "start", "append_log", "append_items", "finish"]


def chatty(lines: int) -> list[str]:
    return [sys.executable, "-c", CHATTY % lines]


def check_whole(stored: Stored, lines: int) -> None:
    assert [json.loads(item)["n"] for item in stored.items] == list(range(lines))
    assert stdout_of(stored).decode() == "".join(f"line {n}\n" for n in range(lines))
    assert stored.facts is not None and stored.facts.exit_code == 0


@pytest.fixture
async def one(data: Path, master: FakeMaster) -> WorkerDriver:  # type: ignore[misc]
    async with WorkerDriver(master, data) as driver:
        yield driver  # type: ignore[misc]


@pytest.mark.parametrize("method", [*CALLS, "exit", "blob"])
async def test_calls_are_repeated_until_answered(one: WorkerDriver, master: FakeMaster, method: str) -> None:
    master.fail(method, times=3)
    stored = await ended(master.offer(chatty(300), files=[master.file("a", method.encode())]))
    check_whole(stored, 300)


@pytest.mark.parametrize("method", [*CALLS, "exit"])
async def test_a_lost_answer_changes_nothing(one: WorkerDriver, master: FakeMaster, method: str) -> None:
    master.lose_answer(method, times=3)
    stored = await ended(master.offer(chatty(300)))
    check_whole(stored, 300)
    await wait_until(lambda: not one.agent.held, "the release")
    assert one.attempts() == []


async def test_a_master_that_is_away_costs_nothing(one: WorkerDriver, master: FakeMaster) -> None:
    stored = master.offer(chatty(1000))
    await wait_until(lambda: stored.items, "it to run")
    master.away = True
    before = len(stored.items)
    outcome = one.data / "attempts" / str(stored.order.ref) / "outcome.json"
    await wait_until(outcome.exists, "the spider to end meanwhile")
    assert len(stored.items) == before
    master.away = False
    check_whole(await ended(stored), 1000)


async def test_a_refused_session_is_renewed_and_everything_goes_on(
    one: WorkerDriver, master: FakeMaster
) -> None:
    stored = master.offer(chatty(1000))
    await wait_until(lambda: stored.items, "it to run")
    pid, started = stored.pid or 0, start_time(stored.pid or 0)
    master.lose_session()
    await wait_until(lambda: len(master.registrations) == 2, "a new registration")
    (held,) = master.registrations[-1].held
    assert (held.ref, held.phase, held.pid) == (stored.order.ref, Phase.EXECUTING, pid)
    assert start_time(pid) == started
    check_whole(await ended(stored), 1000)
    assert len(master.registrations) == 2, "once for all calls that were refused"
    after = await ended(master.offer(["true"]))
    assert after.facts is not None, "commands of the new session are read"


async def test_a_refused_heartbeat_registers_again(one: WorkerDriver, master: FakeMaster) -> None:
    master.lose_session()
    await one.agent._heartbeat()
    assert len(master.registrations) == 2
    assert (await ended(master.offer(["true"]))).facts is not None


async def test_a_session_lost_before_the_accept_was_answered(one: WorkerDriver, master: FakeMaster) -> None:
    """The accept was committed: the attempt is held, and goes on."""

    def lose_session_and_answer() -> None:
        master.lose_session()
        raise Unavailable("link", "made by the test")

    master.after["accept"].append(lose_session_and_answer)
    stored = await ended(master.offer(chatty(50)))
    (held,) = master.registrations[-1].held
    assert held.phase is Phase.PREPARING
    check_whole(stored, 50)


async def test_a_stale_attempt_is_killed_and_kept(one: WorkerDriver, master: FakeMaster, marker: str) -> None:
    stored = master.offer(chatty(100_000), env={"MARKER": marker})
    neighbour = master.offer(chatty(500))
    await wait_until(lambda: stored.items, "it to run")
    master.close(stored)
    await wait_until(lambda: len(one.agent.held) == 1, "the attempt to be given up")
    assert processes_of(marker) == []
    assert stored.order.ref not in master.called("finish")
    check_whole(await ended(neighbour), 500)
    (kept,) = one.attempts()
    assert kept.name == str(stored.order.ref) and (kept / "kept").exists()


async def test_an_attempt_that_a_renewal_does_not_keep_is_killed(
    one: WorkerDriver, master: FakeMaster, marker: str
) -> None:
    quiet = master.offer(["sleep", "600"], env={"MARKER": marker})
    await wait_until(lambda: quiet.pid, "it to run")
    master.close(quiet)
    master.lose_session()
    await one.agent._heartbeat()
    await wait_until(lambda: not one.agent.held, "it to be given up")
    assert processes_of(marker) == []


async def test_an_offer_that_was_withdrawn_is_dropped(one: WorkerDriver, master: FakeMaster) -> None:
    master.before["accept"].append(lambda: master.close(stored))
    stored = master.offer(["true"])
    await wait_until(lambda: master.called("accept") and not one.agent.held, "it to be dropped")
    assert one.attempts() == []
    assert (await ended(master.offer(["true"]))).facts is not None


async def test_a_master_that_went_back_gets_the_bytes_again(one: WorkerDriver, master: FakeMaster) -> None:
    """Its answer says how far it has stored; the shipper goes on from there, with the right ordinals."""
    stored = master.offer(chatty(1000))
    await wait_until(lambda: len(stored.items) > 300, "it to run")
    removed = stored.items[100:]
    del stored.items[100:]
    stored.items_offset -= sum(map(len, removed)) + len(removed)
    del stored.log[1000:]
    check_whole(await ended(stored), 1000)


async def test_a_finish_that_comes_too_early_ships_again(one: WorkerDriver, master: FakeMaster) -> None:
    stored = master.offer(chatty(50))

    def forget() -> None:
        del stored.log[100:]

    master.before["finish"].append(forget)
    check_whole(await ended(stored), 50)


async def test_a_defect_ends_one_attempt_and_not_the_agent(one: WorkerDriver, master: FakeMaster) -> None:
    def defect() -> None:
        raise RuntimeError("a defect made by the test")

    neighbour = master.offer(chatty(500))
    await wait_until(lambda: neighbour.items, "the neighbour to run")
    master.before["start"].append(defect)
    stored = await ended(master.offer(["sleep", "600"]))
    assert stored.facts is not None
    assert "agent error: " in (stored.facts.preparation_error or "")
    assert "a defect made by the test" in (stored.facts.preparation_error or "")
    check_whole(await ended(neighbour), 500)
    assert (await ended(master.offer(["true"]))).facts is not None


async def test_a_blob_that_is_gone_fails_the_preparation(one: WorkerDriver, master: FakeMaster) -> None:
    file = master.file("main.py", b"pass")
    master.blobs.clear()
    stored = await ended(master.offer(["true"], files=[file]))
    assert stored.facts is not None and stored.facts.preparation_permanent
    assert "file main.py: no blob" in (stored.facts.preparation_error or "")
    assert system_lines(stored) == [f"not started: {stored.facts.preparation_error}"]
    assert stored.facts.log_size == len(stored.log)


async def test_a_start_that_was_not_heard_is_reported_before_the_exit(
    one: WorkerDriver, master: FakeMaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(self: Runner, execution: Execution) -> None:
        hand_over(self, execution)
        assert self._link is not None and self._link._transport is not None
        self._link._transport.close()

    hand_over = Runner.run
    monkeypatch.setattr(Runner, "run", run)
    source = """
for n in range(5000): print('{"type":"INSERT_DATA","payload":{"n":%d}}' % n)
"""
    stored = await ended(master.offer([sys.executable, "-c", source]))
    assert stored.facts is not None and stored.facts.exit_code == 0, stored.facts
    assert len(stored.items) == 5000
    assert [name for name in ("start", "exit") if master.called(name)] == ["start", "exit"]
    assert stored.pid == stored.facts.pid
