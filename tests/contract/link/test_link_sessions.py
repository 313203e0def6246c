"""Sessions: registering, what a node brings along, what it has lost, heartbeats, and what is pushed to it."""

from __future__ import annotations

import asyncio
import hashlib
import os
from dataclasses import replace

import pytest

from silkmill.domain.attempt import AttemptRef, Positions
from silkmill.domain.errors import BadInput, NotFound, StaleAttempt, StaleSession
from silkmill.domain.node import Node
from silkmill.domain.states import Phase, State
from silkmill.ports.link import CancelOrder, Held, Kept, Offer
from silkmill.runtime import faults
from support.master_rig import Agent, Rig, repeated


async def node_record(rig: Rig) -> Node:
    stored = await rig.store.record(Node, "node-1")
    assert stored is not None
    return stored.value


class TestRegister:
    async def test_every_registration_makes_another_session(self, rig: Rig, agent: Agent) -> None:
        first = agent.session
        await agent.register()
        assert agent.session != first
        node = await node_record(rig)
        assert (node.session, node.name, node.boot_id, node.max_runners) == (
            agent.session,
            "node-1",
            "boot-1",
            2,
        )
        assert not node.embedded
        assert not node.lost

    async def test_a_node_without_slots_is_refused(self, rig: Rig) -> None:
        with pytest.raises(BadInput, match="max_runners"):
            await Agent(rig, max_runners=0).register()

    @pytest.mark.parametrize("phase", [Phase.PREPARING, Phase.EXECUTING, Phase.COMPLETING])
    async def test_a_held_attempt_goes_on_where_it_was(self, rig: Rig, agent: Agent, phase: Phase) -> None:
        ref = await agent.running()
        await agent.log(ref, b"abc")
        await agent.items(ref, [b"{}"])
        registered = await agent.register(agent.held(ref, phase))
        assert registered.kept == (Kept(ref, Positions(3, 3, 1)),)
        task = await rig.task(ref.task_id)
        assert task.attempt is not None
        assert (task.attempt.phase, task.attempt.session) == (phase, agent.session)
        assert await agent.log(ref, b"def", 3) == 6

    async def test_an_older_attempt_of_the_same_task_does_not_hide_it(self, rig: Rig, agent: Agent) -> None:
        older = await agent.running()
        await rig.link.give_back(agent.session, older, "for a test")
        ref = await agent.started()
        registered = await agent.register(agent.held(ref), agent.held(older))
        assert [kept.ref for kept in registered.kept] == [ref]

    async def test_an_adopted_attempt_ends_as_any_other(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        await agent.register(agent.held(ref))
        await agent.finish(ref)
        task = await rig.task(ref.task_id)
        assert (task.state, task.history[0].number, task.counted_attempts) == (State.FINISHED, 1, 1)

    async def test_an_accept_whose_answer_was_lost_goes_on(self, rig: Rig, agent: Agent) -> None:
        await rig.submit()
        ref = (await agent.accepted()).ref
        await agent.register(Held(ref, Phase.PREPARING))
        assert (await rig.link.accept(agent.session, ref)).ref == ref

    async def test_what_is_not_current_is_not_kept(self, rig: Rig, agent: Agent) -> None:
        ended = await agent.running()
        await agent.finish(ended)
        replaced = await agent.running()
        await rig.link.give_back(agent.session, replaced, "drain")
        unknown = AttemptRef("01900000-0000-7000-8000-000000000000", 1)
        registered = await agent.register(*(agent.held(ref) for ref in (ended, replaced, unknown)))
        assert registered.kept == ()

    async def test_an_offer_is_withdrawn_even_if_the_node_knows_it(self, rig: Rig, agent: Agent) -> None:
        await rig.submit()
        ref = await agent.offered()
        registered = await agent.register(Held(ref, Phase.OFFERED))
        assert registered.kept == ()
        task = await rig.task(ref.task_id)
        assert (task.row, task.history) == ((State.PENDING, None), ())

    async def test_an_attempt_of_another_node_is_left_alone(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        registered = await Agent(rig, "node-2").register(agent.held(ref))
        assert registered.kept == ()
        assert (await rig.task(ref.task_id)).row == (State.RUNNING, Phase.EXECUTING)

    async def test_missing_attempts_are_given_back_without_waiting(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        await agent.register()
        task = await rig.task(ref.task_id)
        assert (task.state, task.lost_attempts) == (State.PENDING, 1)
        assert task.reason == "lost: node node-1 came back without it"
        assert await agent.offered() == AttemptRef(ref.task_id, 2)

    async def test_held_attempts_take_slots_but_completing_ones_do_not(self, rig: Rig, agent: Agent) -> None:
        running, completing = await agent.running(), await agent.running()
        await agent.register(agent.held(running), agent.held(completing, Phase.COMPLETING))
        for _ in range(2):
            await rig.submit()
        await agent.offered()
        assert await waiting_commands(agent) == []

    async def test_a_registration_cut_anywhere_is_repeated(self, rig: Rig, agent: Agent) -> None:
        for point in ("store.before_commit", "store.after_commit", "link.answer"):
            for hit in range(1, 6):
                kept, missing = await agent.running(), await agent.running()
                faults.arm(f"{point}=error@{hit}*2")
                registered = await repeated(lambda kept=kept: agent.register(agent.held(kept)))
                faults.disarm()
                assert [one.ref for one in registered.kept] == [kept]
                assert (await rig.task(missing.task_id)).lost_attempts == 1
                await agent.finish(kept)
                await rig.cancel.request(missing.task_id)

    async def test_writes_under_the_old_session_are_stale_but_nothing_is_killed(
        self, rig: Rig, agent: Agent
    ) -> None:
        ref, old = await agent.running(), agent.session
        await agent.register(agent.held(ref))
        with pytest.raises(StaleSession):
            await rig.link.append_log(old, ref, 0, b"x")


class TestCancelAcrossRestarts:
    async def test_a_held_attempt_is_ordered_to_stop_again(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        await rig.cancel.request(ref.task_id, force=True)
        registered = await agent.register(agent.held(ref))
        assert registered.cancels == (CancelOrder(ref, True),)

    async def test_a_restarted_machine_proves_that_it_is_dead(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        await rig.cancel.request(ref.task_id, reason="by ann")
        await Agent(rig, boot_id="boot-2").register()
        task = await rig.task(ref.task_id)
        assert (task.state, task.reason) == (State.CANCELLED, "by ann")

    async def test_a_node_that_merely_forgot_it_proves_nothing(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        await rig.cancel.request(ref.task_id)
        await agent.register()
        task = await rig.task(ref.task_id)
        assert (task.row, task.reason) == ((State.ABNORMAL, Phase.EXECUTING), "cancel not verified")
        await agent.register(agent.held(ref))
        await agent.finish(ref, exit_code=None, signal=15, signal_sender="us", cancelled=True)
        assert (await rig.task(ref.task_id)).state is State.CANCELLED

    async def test_what_never_started_is_cancelled(self, rig: Rig, agent: Agent) -> None:
        await rig.submit()
        ref = (await agent.accepted()).ref
        await rig.cancel.request(ref.task_id)
        await agent.register()
        assert (await rig.task(ref.task_id)).state is State.CANCELLED


class TestHeartbeat:
    async def test_a_beat_is_committed(self, rig: Rig, agent: Agent) -> None:
        before = (await node_record(rig)).beat
        for _ in range(2):
            await rig.link.heartbeat("node-1", agent.session)
        assert (await node_record(rig)).beat == before + 2

    async def test_it_names_the_attempts_to_cancel_until_they_have_finished(
        self, rig: Rig, agent: Agent
    ) -> None:
        ref, other = await agent.running(), await agent.running()
        assert await rig.link.heartbeat("node-1", agent.session) == ()
        await rig.cancel.request(ref.task_id)
        for _ in range(2):
            assert await rig.link.heartbeat("node-1", agent.session) == (CancelOrder(ref),)
        await agent.finish(ref, exit_code=None, signal=15, cancelled=True)
        assert await rig.link.heartbeat("node-1", agent.session) == ()
        await agent.finish(other)

    async def test_another_session_is_refused(self, rig: Rig, agent: Agent) -> None:
        old = agent.session
        await agent.register()
        for node, session in (("node-1", old), ("node-1", "made up"), ("node-9", agent.session)):
            with pytest.raises(StaleSession):
                await rig.link.heartbeat(node, session)

    async def test_a_lost_session_is_refused(self, rig: Rig, agent: Agent) -> None:
        await rig.link.heartbeat("node-1", agent.session)
        stored = await rig.store.record(Node, "node-1")
        assert stored is not None
        await rig.store.replace_record(stored, replace(stored.value, lost=True), "judge")
        with pytest.raises(StaleSession):
            await rig.link.heartbeat("node-1", agent.session)

    async def test_a_beat_that_another_master_took_is_no_obstacle(self, rig: Rig, agent: Agent) -> None:
        other = rig.restarted()
        for link in (rig.link, other.link, rig.link, other.link):
            await link.heartbeat("node-1", agent.session)

    @pytest.mark.parametrize("point", ["store.before_commit", "store.after_commit", "link.answer"])
    async def test_a_beat_whose_answer_is_lost_is_repeated(self, rig: Rig, agent: Agent, point: str) -> None:
        faults.arm(f"{point}=error*2")
        assert await repeated(lambda: rig.link.heartbeat("node-1", agent.session)) == ()


class TestCommands:
    async def test_offers_and_cancels_come_in_order(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        second = await rig.submit()
        await rig.dispatcher.tick()
        await rig.cancel.request(ref.task_id)
        await rig.cancel.request(ref.task_id, force=True)
        assert await waiting_commands(agent) == [
            Offer(AttemptRef(second.id, 1)),
            CancelOrder(ref, False),
            CancelOrder(ref, True),
        ]

    async def test_they_end_when_another_session_replaces_this_one(self, rig: Rig, agent: Agent) -> None:
        old = agent.commands
        waiting = asyncio.ensure_future(anext(old))
        await asyncio.sleep(0)
        await agent.register()
        with pytest.raises(StopAsyncIteration):
            await waiting

    async def test_an_unknown_session_gets_none(self, rig: Rig) -> None:
        with pytest.raises(StaleSession):
            await anext(rig.link.commands("made up"))

    async def test_what_was_pushed_before_the_first_look_is_not_lost(self, rig: Rig, agent: Agent) -> None:
        task = await rig.submit()
        await rig.dispatcher.tick()
        assert await anext(rig.link.commands(agent.session)) == Offer(AttemptRef(task.id, 1))


class TestCancel:
    async def test_a_pending_task_ends_at_once(self, rig: Rig, agent: Agent) -> None:
        task = await rig.submit()
        ended = await rig.cancel.request(task.id, reason="by ann")
        assert (ended.state, ended.reason, ended.history) == (State.CANCELLED, "by ann", ())

    async def test_an_offered_task_ends_at_once_and_a_late_accept_is_stale(
        self, rig: Rig, agent: Agent
    ) -> None:
        await rig.submit()
        ref = await agent.offered()
        assert (await rig.cancel.request(ref.task_id)).state is State.CANCELLED
        with pytest.raises(StaleAttempt):
            await rig.link.accept(agent.session, ref)

    async def test_a_running_task_is_stopped_by_its_agent(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        wished = await rig.cancel.request(ref.task_id)
        assert (wished.state, wished.cancel_requested) == (State.RUNNING, True)
        assert await waiting_commands(agent) == [CancelOrder(ref)]
        await agent.finish(ref, exit_code=None, signal=15, signal_sender="us", cancelled=True)
        task = await rig.task(ref.task_id)
        assert (task.state, task.reason, task.error_class) == (
            State.CANCELLED,
            "cancelled on request",
            "cancelled",
        )
        assert task.history[0].signal == 15

    async def test_without_proof_of_death_it_is_abnormal(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        await rig.cancel.request(ref.task_id)
        unproven = {"exit_code": None, "signal": 9, "cancelled": True, "verified": False, "survivors": (77,)}
        await agent.finish(ref, **unproven)
        task = await rig.task(ref.task_id)
        assert (task.state, task.reason) == (State.ABNORMAL, "cancel not verified")
        await agent.finish(ref, **unproven)

    async def test_a_final_task_stays_as_it_is(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        await agent.finish(ref)
        before = await rig.task(ref.task_id)
        assert await rig.cancel.request(ref.task_id, force=True) == before

    async def test_asking_twice_is_asking_once(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        first = await rig.cancel.request(ref.task_id)
        assert (await rig.cancel.request(ref.task_id)).revision == first.revision

    async def test_a_task_that_does_not_exist(self, rig: Rig) -> None:
        with pytest.raises(NotFound):
            await rig.cancel.request("01900000-0000-7000-8000-000000000000")


class TestBlob:
    async def test_content_by_hash(self, rig: Rig, agent: Agent) -> None:
        await rig.submit()
        order = await agent.accepted()
        content = b'name = "news"\ncommand = "/bin/true"\n'
        for start in (0, 5, len(content), len(content) + 1):
            assert await blob(rig, order.files[0].sha256, start) == content[start:]

    async def test_a_large_one_comes_in_small_messages(self, rig: Rig) -> None:
        content = os.urandom(5 * 1024 * 1024 + 7)
        sha256 = hashlib.sha256(content).hexdigest()
        await rig.uploads.put_blob(sha256, content)
        pieces = [piece async for piece in rig.link.blob(sha256, 3)]
        assert max(map(len, pieces)) <= 1024 * 1024
        assert b"".join(pieces) == content[3:]

    async def test_an_unknown_hash(self, rig: Rig) -> None:
        with pytest.raises(NotFound):
            await blob(rig, "0" * 64)


async def blob(rig: Rig, sha256: str, start: int = 0) -> bytes:
    return b"".join([piece async for piece in rig.link.blob(sha256, start)])


async def waiting_commands(agent: Agent) -> list[object]:
    """The commands that were pushed to the agent and not taken yet."""
    commands: list[object] = []
    iterator = agent.rig.link.commands(agent.session)
    while True:
        try:
            commands.append(await asyncio.wait_for(anext(iterator), 0.01))
        except TimeoutError:
            return commands
