"""Finding tasks, explaining them, and hearing of them."""

from __future__ import annotations

import asyncio

import pytest

from silkmill.domain.errors import Ambiguous, BadInput, NotFound
from silkmill.domain.node import Node
from silkmill.domain.outcome import ErrorClass
from silkmill.domain.states import Phase, State
from silkmill.domain.task import Task, request_cancel
from silkmill.master.feed import Feed, LogGrew, Resync, TaskChanged
from silkmill.master.submission import Submission
from silkmill.master.why import Around, why
from silkmill.runtime import faults
from support.master_rig import Agent, Rig
from support.task_values import LATER, NOW, a_task, a_task_in

NODE = Node("node-1", "box", "session-1", 2, "boot-1", NOW)


class TestFind:
    async def test_by_id_suffix_and_last(self, rig: Rig) -> None:
        first = await rig.submit()
        rig.clock.pass_time(1)
        last = await rig.submit()
        assert await rig.tasks.find(first.id) == first
        assert await rig.tasks.find(first.id[-6:]) == first
        assert await rig.tasks.find(first.id[-12:].upper()) == first
        assert await rig.tasks.find("last") == last

    async def test_what_does_not_exist(self, rig: Rig) -> None:
        for text in ("last", "ffffff", "01900000-0000-7000-8000-000000000000"):
            with pytest.raises(NotFound):
                await rig.tasks.find(text)

    async def test_too_short(self, rig: Rig) -> None:
        with pytest.raises(BadInput, match="too short"):
            await rig.tasks.find("abcde")

    async def test_an_ambiguous_one_lists_the_candidates(self, rig: Rig) -> None:
        tasks = [a_task(id=f"0190000{n}-0000-7000-8000-0000000000aa") for n in range(3)]
        await rig.store.insert_tasks(tasks)
        with pytest.raises(Ambiguous) as refusal:
            await rig.tasks.find("0000aa")
        assert sorted(refusal.value.candidates) == [task.id for task in tasks]


class TestWhy:
    @pytest.mark.parametrize(
        ("task", "around", "waits_for", "words"),
        [
            (a_task(state=State.FINISHED), Around(), "nothing", "it has ended finished"),
            (
                a_task(state=State.ERROR, error_class=ErrorClass.SPIDER, reason="exit code 3"),
                Around(),
                "nothing",
                "it has ended error (spider): exit code 3",
            ),
            (
                a_task(state=State.CREATED, next_attempt_at=LATER, reason="refused", counted_attempts=2),
                Around(),
                "time",
                "waits until 2026-03-01T12:00:30+00:00 after 2 attempts; the last one: refused",
            ),
            (a_task(state=State.CREATED, reason="overlap"), Around(), "time", "overlap"),
            (a_task(), Around(), "node", "no node is connected"),
            (a_task(), Around((NODE,), 0, 7), "slot", "7 tasks are before it"),
            (a_task(), Around((NODE,), 1, 7, draining=True), "engine", "draining and takes no new work"),
            (a_task(), Around((NODE,), 1, 7, for_others=True), "engine", "start `silkmill up`"),
            (a_task(), Around((NODE,), 1, 7), "dispatch", "7 tasks are before it"),
            (a_task(), Around((NODE,), 1, 0), "dispatch", "about to be offered"),
            (a_task_in((State.PENDING, Phase.OFFERED)), Around((NODE,)), "accept", "offered to box"),
            (
                a_task_in((State.PENDING, Phase.PREPARING)),
                Around((NODE,)),
                "preparation",
                "box prepares its files",
            ),
            (
                a_task_in((State.PENDING, Phase.PREPARING)),
                Around((NODE,), preparing="environment x is built"),
                "preparation",
                "box prepares: environment x is built",
            ),
            (
                a_task_in((State.RUNNING, Phase.EXECUTING)),
                Around(),
                "spider",
                "runs on node-1 (attempt 3, pid",
            ),
            (a_task_in((State.RUNNING, Phase.COMPLETING)), Around((NODE,)), "streams", "ended on box"),
            (a_task_in((State.ABNORMAL, Phase.EXECUTING)), Around(), "recovery", "given back after 5 s"),
            (
                request_cancel(a_task_in((State.RUNNING, Phase.EXECUTING)), force=False, reason="by ann"),
                Around((NODE,)),
                "cancel",
                "being stopped on box, with its graces (by ann)",
            ),
            (
                request_cancel(a_task_in((State.ABNORMAL, Phase.EXECUTING)), force=True, reason="by ann"),
                Around((NODE,)),
                "proof",
                "nothing proves that its processes on node-1 are dead",
            ),
        ],
    )
    def test_it_names_the_one_thing(self, task: Task, around: Around, waits_for: str, words: str) -> None:
        answer = why(task, around)
        assert answer.waits_for == waits_for
        assert words in answer.text

    def test_the_time_is_given_as_a_value_too(self) -> None:
        assert why(a_task(state=State.CREATED, next_attempt_at=LATER), Around()).until == LATER


class TestFeed:
    async def test_hints_come_in_order_after_the_commit(self, rig: Rig, agent: Agent) -> None:
        with rig.feed.subscribe() as hints:
            ref = await agent.running()
            await agent.finish(ref)
            seen = []
            while not seen or not seen[-1].task.state.final:
                hint = await asyncio.wait_for(anext(hints), 1)
                assert isinstance(hint, TaskChanged)
                seen.append(hint)
        assert [hint.task.row for hint in seen] == [
            (State.PENDING, None),
            (State.PENDING, Phase.OFFERED),
            (State.PENDING, Phase.PREPARING),
            (State.RUNNING, Phase.EXECUTING),
            (State.FINISHED, None),
        ]
        assert [hint.task.revision for hint in seen] == list(range(5))
        assert seen[-1].task == await rig.task(ref.task_id)

    async def test_a_subscriber_that_does_not_read_is_told_to_read_again(self) -> None:
        feed = Feed()
        with feed.subscribe(capacity=3) as slow, feed.subscribe() as quick:
            for _ in range(5):
                feed.publish(TaskChanged(a_task()))
            assert isinstance(await anext(slow), Resync)
            assert isinstance(await anext(slow), TaskChanged)
            for _ in range(5):
                assert isinstance(await anext(quick), TaskChanged)

    async def test_nothing_is_kept_for_those_who_left(self) -> None:
        feed = Feed()
        with feed.subscribe() as hints:
            pass
        feed.publish(TaskChanged(a_task()))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(hints), 0.01)

    async def test_a_refused_change_is_not_published(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        with rig.feed.subscribe() as hints:
            faults.arm("store.before_commit=error*20")
            with pytest.raises(Exception, match="unavailable"):
                await agent.finish(ref)
            faults.disarm()
            await agent.log(ref, b"x")
            assert await anext(hints) == LogGrew(ref, 1)

    async def test_repeats_of_a_submission_publish_no_old_values(self, rig: Rig, agent: Agent) -> None:
        lines = [Submission("default", "news")]
        faults.arm("intake.between_inserts=error")
        with pytest.raises(Exception, match="unavailable"):
            await rig.intake.submit_group(lines, "key", b"body")
        ref = await agent.started()
        with rig.feed.subscribe() as hints:
            await rig.intake.submit_group(lines, "key", b"body")
            assert isinstance(await anext(hints), Resync)
        assert (await rig.task(ref.task_id)).row == (State.RUNNING, Phase.EXECUTING)
        await rig.submit()
        await agent.offered()
