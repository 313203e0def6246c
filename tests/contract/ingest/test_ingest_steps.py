"""The steps of an attempt: fenced, repeatable, and finished only when everything is stored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from silkmill.domain.attempt import AttemptRef
from silkmill.domain.errors import IllegalTransition, Incomplete, StaleAttempt, StaleSession
from silkmill.domain.outcome import ErrorClass, Fatal, SpawnError
from silkmill.domain.states import Phase, State
from silkmill.domain.statistics import Statistics
from silkmill.ports.link import CancelOrder
from silkmill.runtime import faults
from support.master_rig import Agent, Rig, repeated

ITEM = b'{"n":1}'


async def row(rig: Rig, ref: AttemptRef) -> tuple[State, Phase | None]:
    return (await rig.task(ref.task_id)).row


class TestSteps:
    async def test_accept_answers_with_all_that_is_needed(self, rig: Rig, agent: Agent) -> None:
        version = await rig.deploy_spider(
            'name = "news"\ncommand = "main.py --day {day} {n}"\n'
            '[params]\nday = "today"\nn = 3\n[env]\nA = "1"\n'
        )
        task = await rig.submit(params={"n": "5"}, env={"B": "2"})
        order = await agent.accepted()
        assert order.ref == AttemptRef(task.id, 1)
        assert (order.project, order.spider, order.version) == ("default", "news", version)
        assert order.argv == ("main.py", "--day", "today", "5")
        assert order.params == {"day": "today", "n": 5}
        assert order.env == {"A": "1", "B": "2"}
        assert [entry.path for entry in order.files] == ["spider.toml"]
        pieces = [piece async for piece in rig.link.blob(order.files[0].sha256)]
        assert b"main.py" in b"".join(pieces)
        assert order.cancel is None

    async def test_each_step_moves_the_phase(self, rig: Rig, agent: Agent) -> None:
        await rig.submit()
        ref = await agent.offered()
        assert await row(rig, ref) == (State.PENDING, Phase.OFFERED)
        await rig.link.accept(agent.session, ref)
        assert await row(rig, ref) == (State.PENDING, Phase.PREPARING)
        await rig.link.start(agent.session, ref, 99, rig.clock.now())
        task = await rig.task(ref.task_id)
        assert task.row == (State.RUNNING, Phase.EXECUTING)
        assert task.attempt is not None
        assert (task.attempt.pid, task.started_at) == (99, rig.clock.now())
        await rig.link.exit(agent.session, ref)
        assert await row(rig, ref) == (State.RUNNING, Phase.COMPLETING)
        await agent.finish(ref)
        assert await row(rig, ref) == (State.FINISHED, None)

    async def test_every_step_may_be_repeated(self, rig: Rig, agent: Agent) -> None:
        await rig.submit()
        ref = await agent.offered()
        orders = [await rig.link.accept(agent.session, ref) for _ in range(2)]
        assert orders[0] == orders[1]
        for _ in range(2):
            await rig.link.start(agent.session, ref, 99, rig.clock.now())
        for _ in range(2):
            await rig.link.exit(agent.session, ref)
        revision = (await rig.task(ref.task_id)).revision
        await rig.link.accept(agent.session, ref)
        await rig.link.start(agent.session, ref, 99, rig.clock.now())
        assert (await rig.task(ref.task_id)).revision == revision
        for _ in range(3):
            await agent.finish(ref)
        task = await rig.task(ref.task_id)
        assert (task.state, len(task.history)) == (State.FINISHED, 1)

    async def test_a_step_out_of_order_is_a_defect_not_a_state(self, rig: Rig, agent: Agent) -> None:
        await rig.submit()
        ref = await agent.offered()
        with pytest.raises(IllegalTransition):
            await rig.link.start(agent.session, ref, 1, rig.clock.now())
        await rig.link.accept(agent.session, ref)
        with pytest.raises(IllegalTransition):
            await rig.link.exit(agent.session, ref)

    async def test_every_step_is_fenced(self, rig: Rig, agent: Agent) -> None:
        await rig.submit()
        ref = await agent.offered()
        now = rig.clock.now()
        link, stale = rig.link, AttemptRef(ref.task_id, 2)
        with pytest.raises(StaleSession):
            await link.accept("other", ref)
        with pytest.raises(StaleSession):
            await link.refuse("other", ref, "full")
        await link.accept(agent.session, ref)
        for session, number, refusal in (("other", ref, StaleSession), (agent.session, stale, StaleAttempt)):
            for call in (
                link.start(session, number, 1, now),
                link.exit(session, number),
                link.finish(session, number, agent.facts()),
                link.give_back(session, number, "drain"),
            ):
                with pytest.raises(refusal):
                    await call
        assert await row(rig, ref) == (State.PENDING, Phase.PREPARING)

    async def test_a_refused_offer_is_withdrawn_and_counts_for_nothing(self, rig: Rig, agent: Agent) -> None:
        await rig.submit()
        ref = await agent.offered()
        for _ in range(2):
            await rig.link.refuse(agent.session, ref, "no free slot")
        task = await rig.task(ref.task_id)
        assert (task.row, task.history, task.counted_attempts) == ((State.PENDING, None), (), 0)
        assert task.reason == "withdrawn: no free slot"
        with pytest.raises(StaleAttempt):
            await rig.link.accept(agent.session, ref)

    async def test_an_attempt_given_back_by_a_drain_counts_for_nothing(self, rig: Rig, agent: Agent) -> None:
        await rig.submit()
        ref = await agent.started()
        await rig.link.give_back(agent.session, ref, "the node is drained")
        task = await rig.task(ref.task_id)
        assert (task.state, task.reason, task.counted_attempts) == (State.PENDING, "the node is drained", 0)
        assert task.history[0].outcome == "given_back"


class TestFinish:
    @pytest.mark.parametrize(
        "claimed", [{"log_size": 4}, {"items_size": 9}, {"items_count": 2}, {"log_size": 3, "items_size": 99}]
    )
    async def test_it_waits_for_every_byte_and_item(
        self, rig: Rig, agent: Agent, claimed: dict[str, int]
    ) -> None:
        await rig.submit()
        ref = await agent.started()
        await agent.log(ref, b"abc")
        await agent.items(ref, [ITEM])
        with pytest.raises(Incomplete):
            await agent.finish(ref, **{"log_size": 3, "items_size": 8, "items_count": 1} | claimed)
        assert await row(rig, ref) == (State.RUNNING, Phase.EXECUTING)
        await agent.finish(ref, log_size=3, items_size=8, items_count=1)
        assert await row(rig, ref) == (State.FINISHED, None)

    async def test_a_failure_waits_for_every_byte_too(self, rig: Rig, agent: Agent) -> None:
        await rig.submit()
        ref = await agent.started()
        with pytest.raises(Incomplete):
            await agent.finish(ref, exit_code=3, log_size=1)

    async def test_a_lost_runner_waits_for_what_it_had_written(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        with pytest.raises(Incomplete):
            await agent.finish(ref, lost=True, exit_code=None, log_size=3)
        assert await row(rig, ref) == (State.RUNNING, Phase.EXECUTING)

    async def test_steps_that_were_left_out_are_folded_in(self, rig: Rig, agent: Agent) -> None:
        await rig.submit()
        order = await agent.accepted()
        await agent.finish(order.ref, pid=99)
        task = await rig.task(order.ref.task_id)
        assert (task.state, task.started_at) == (State.FINISHED, rig.clock.now())
        assert task.history[0].phase is Phase.COMPLETING

    async def test_exit_3_is_an_error_of_the_spider(self, rig: Rig, agent: Agent) -> None:
        await rig.submit()
        ref = await agent.started()
        await agent.finish(ref, exit_code=3, traceback="Traceback…", leftovers=2)
        task = await rig.task(ref.task_id)
        assert (task.state, task.error_class, task.exit_code) == (State.ERROR, ErrorClass.SPIDER, 3)
        assert task.traceback == "Traceback…"

    async def test_a_command_that_cannot_start_ends_for_good(self, rig: Rig, agent: Agent) -> None:
        await rig.submit()
        order = await agent.accepted()
        missing = SpawnError(2, "missing", "no such command: scrappy")
        await agent.finish(order.ref, started=False, pid=None, exit_code=None, spawn_error=missing)
        task = await rig.task(order.ref.task_id)
        assert (task.state, task.error_class) == (State.ERROR, ErrorClass.SYSTEM)
        assert (task.reason, task.history[0].outcome) == ("no such command: scrappy", "never_started")
        assert task.started_at is None

    async def test_a_fatal_frame_fails_exit_0(self, rig: Rig, agent: Agent) -> None:
        await rig.submit()
        ref = await agent.started()
        await agent.finish(ref, fatal=Fatal("Login", "wrong password"))
        assert (await rig.task(ref.task_id)).reason == "Login: wrong password"

    async def test_rules_of_the_version_decide(self, rig: Rig, agent: Agent) -> None:
        await rig.deploy_spider('name = "news"\ncommand = "x"\n[outcome]\nok_exit_codes = [4]\n')
        await rig.submit()
        ref = await agent.started()
        await agent.finish(ref, exit_code=4)
        assert (await rig.task(ref.task_id)).state is State.FINISHED

    async def test_a_network_failure_is_retried_with_a_back_off(self, rig: Rig, agent: Agent) -> None:
        await rig.submit()
        ref = await agent.started()
        text = "Traceback (most recent call last):\n  x\nConnectionRefusedError: refused"
        await agent.finish(ref, exit_code=1, traceback=text, traceback_ends_stderr=True)
        task = await rig.task(ref.task_id)
        assert (task.state, task.counted_attempts) == (State.CREATED, 1)
        assert task.next_attempt_at is not None
        assert 5 <= (task.next_attempt_at - rig.clock.now()).total_seconds() <= 10
        await agent.finish(ref, exit_code=1, traceback=text, traceback_ends_stderr=True)
        assert (await rig.task(ref.task_id)).counted_attempts == 1

    async def test_a_lost_runner_is_seen_as_abnormal_and_then_retried(self, rig: Rig, agent: Agent) -> None:
        await rig.submit()
        ref = await agent.started()
        await agent.log(ref, b"abc")
        with rig.feed.subscribe() as hints:
            await agent.finish(ref, lost=True, exit_code=None, log_size=3)
            states = [(await anext(hints)).task.state for _ in range(2)]
        assert states == [State.ABNORMAL, State.CREATED]
        task = await rig.task(ref.task_id)
        assert (task.counted_attempts, task.lost_attempts) == (1, 0)
        assert (task.history[0].outcome, task.history[0].log_offset) == ("lost", 3)

    async def test_a_worker_that_was_lost_counts_apart(self, rig: Rig, agent: Agent) -> None:
        await rig.submit()
        ref = await agent.started()
        await agent.finish(ref, lost_with_worker=True, exit_code=None)
        task = await rig.task(ref.task_id)
        assert (task.state, task.counted_attempts, task.lost_attempts) == (State.PENDING, 0, 1)

    @pytest.mark.parametrize("lost", [{}, {"lost": True}, {"lost_with_worker": True}], ids=str)
    async def test_what_the_facts_count_is_kept(self, rig: Rig, agent: Agent, lost: dict[str, bool]) -> None:
        await rig.submit()
        ref = await agent.started()
        counted = {"progress": 0.5, "errors": 2, "log_lines": 9, "max_rss_bytes": 4096, "cpu_seconds": 0.25}
        counted |= {"max_processes": 3, "read_bytes": 10, "written_bytes": 20}
        await agent.finish(ref, **counted, **lost)
        (closed,) = (await rig.task(ref.task_id)).history
        assert closed.statistics == Statistics(0.5, 2, 9, 4096, 0.25, 3, 10, 20)
        assert closed.error_class == ("system" if lost else None)

    async def test_a_finish_of_an_attempt_that_another_end_has_closed_is_stale(
        self, rig: Rig, agent: Agent
    ) -> None:
        await rig.submit()
        ref = await agent.started()
        await rig.link.give_back(agent.session, ref, "drain")
        with pytest.raises(StaleAttempt):
            await agent.finish(ref)
        assert (await rig.task(ref.task_id)).state is State.PENDING

    async def test_until_it_is_adopted_a_lost_attempt_cannot_finish(self, rig: Rig, agent: Agent) -> None:
        await rig.submit()
        ref = await agent.started()
        old = agent.session
        await agent.register(agent.held(ref))
        with pytest.raises(StaleSession):
            await rig.link.finish(old, ref, agent.facts())
        await agent.finish(ref)
        assert (await rig.task(ref.task_id)).state is State.FINISHED


STEPS = ["accept", "start", "exit", "finish", "refuse", "give_back", "lost"]


@pytest.mark.parametrize("point", ["store.before_commit", "store.after_commit", "link.answer"])
@pytest.mark.parametrize("failures", [1, 2, 3])
@pytest.mark.parametrize("step", STEPS)
async def test_a_step_whose_answer_is_lost_takes_effect_once(
    rig: Rig, agent: Agent, step: str, failures: int, point: str
) -> None:
    await rig.submit()
    ref = await agent.offered()
    link, session = rig.link, agent.session
    if step not in ("accept", "refuse"):
        await link.accept(session, ref)
    if step not in ("accept", "refuse", "start"):
        await link.start(session, ref, 99, rig.clock.now())
    lost = agent.facts(lost=True, exit_code=None)
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "accept": lambda: link.accept(session, ref),
        "start": lambda: link.start(session, ref, 99, rig.clock.now()),
        "exit": lambda: link.exit(session, ref),
        "finish": lambda: link.finish(session, ref, agent.facts()),
        "refuse": lambda: link.refuse(session, ref, "full"),
        "give_back": lambda: link.give_back(session, ref, "drain"),
        "lost": lambda: link.finish(session, ref, lost),
    }
    faults.arm(f"{point}=error*{failures}")
    try:
        await repeated(calls[step])
    except (StaleAttempt, StaleSession):
        # Its first call took effect: the agent lets the attempt go, or comes back with it.
        assert step in ("give_back", "lost")
    faults.disarm()
    task = await rig.task(ref.task_id)
    ends = {
        "accept": (State.PENDING, Phase.PREPARING),
        "start": (State.RUNNING, Phase.EXECUTING),
        "exit": (State.RUNNING, Phase.COMPLETING),
        "finish": (State.FINISHED, None),
        "refuse": (State.PENDING, None),
        "give_back": (State.PENDING, None),
    }
    if step == "lost":
        assert task.state in (State.CREATED, State.ABNORMAL)
        assert task.counted_attempts == (1 if task.state is State.CREATED else 0)
    else:
        assert task.row == ends[step]
    assert len(task.history) == (1 if step in ("finish", "give_back") or task.state is State.CREATED else 0)
    assert task.last_number == 1


class TestRaces:
    """Two masters over one store: the second decides on what it remembers, and must find that out."""

    async def test_a_cancel_that_comes_too_late_changes_nothing(self, rig: Rig, agent: Agent) -> None:
        await rig.submit()
        ref = await agent.started()
        other = rig.restarted()
        await other.tasks.opened(ref)
        await agent.finish(ref)
        task = await other.cancel.request(ref.task_id)
        assert (task.state, task.cancel_requested) == (State.FINISHED, False)

    async def test_a_cancel_before_the_finish_leaves_a_true_outcome(self, rig: Rig, agent: Agent) -> None:
        await rig.submit()
        ref = await agent.started()
        await rig.restarted().cancel.request(ref.task_id)
        await agent.finish(ref)
        assert (await rig.task(ref.task_id)).state is State.FINISHED

    async def test_a_cancel_before_the_finish_forbids_another_attempt(self, rig: Rig, agent: Agent) -> None:
        await rig.submit()
        ref = await agent.started()
        await rig.restarted().cancel.request(ref.task_id, reason="by ann")
        text = "Traceback (most recent call last):\n  x\nConnectionRefusedError: refused"
        await agent.finish(ref, exit_code=1, traceback=text, traceback_ends_stderr=True)
        task = await rig.task(ref.task_id)
        assert (task.state, task.reason) == (State.CANCELLED, "by ann")
        assert task.history[0].error_class == "network"

    async def test_a_cancel_between_offer_and_accept_wins(self, rig: Rig, agent: Agent) -> None:
        await rig.submit()
        ref = await agent.offered()
        task = await rig.restarted().cancel.request(ref.task_id)
        assert task.state is State.CANCELLED
        with pytest.raises(StaleAttempt):
            await rig.link.accept(agent.session, ref)

    async def test_an_accept_after_a_cancel_of_a_preparing_attempt_says_so(
        self, rig: Rig, agent: Agent
    ) -> None:
        await rig.submit()
        ref = (await agent.accepted()).ref
        await rig.restarted().cancel.request(ref.task_id, force=True)
        order = CancelOrder(ref, True)
        assert (await rig.restarted().link.accept(agent.session, ref)).cancel == order
        assert await rig.link.start(agent.session, ref, 99, rig.clock.now()) == order

    async def test_an_adoption_before_the_finish_makes_it_stale(self, rig: Rig, agent: Agent) -> None:
        await rig.submit()
        ref = await agent.completing()
        reborn = Agent(rig.restarted())
        await reborn.register(reborn.held(ref, Phase.COMPLETING))
        with pytest.raises(StaleSession):
            await agent.finish(ref)
        await reborn.finish(ref)
        assert (await rig.task(ref.task_id)).state is State.FINISHED

    async def test_a_finish_before_the_adoption_leaves_nothing_to_adopt(self, rig: Rig, agent: Agent) -> None:
        await rig.submit()
        ref = await agent.completing()
        other = rig.restarted()
        await other.tasks.opened(ref)
        await agent.finish(ref)
        registered = await Agent(other).register(agent.held(ref, Phase.COMPLETING))
        assert registered.kept == ()
        assert (await rig.task(ref.task_id)).state is State.FINISHED

    async def test_bytes_that_another_master_stored_are_in_the_history(self, rig: Rig, agent: Agent) -> None:
        await rig.submit()
        ref = await agent.completing()
        await rig.restarted().link.append_log(agent.session, ref, 0, b"abc")
        await agent.finish(ref, log_size=3)
        assert (await rig.task(ref.task_id)).history[0].log_offset == 3
