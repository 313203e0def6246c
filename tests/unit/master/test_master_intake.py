"""Submitting: what is refused, what a task pins, and submissions of many that are all or nothing."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from helpers import pending
from silkmill.adapters.store.memory import MemoryStore
from silkmill.domain.errors import BadInput, NotFound, Unavailable
from silkmill.domain.group import Group
from silkmill.domain.states import State
from silkmill.domain.task import Task
from silkmill.master import groups as groups_module
from silkmill.master import intake as intake_module
from silkmill.master.feed import Resync
from silkmill.master.submission import Submission
from silkmill.ports.store import TaskFilter
from silkmill.runtime import faults
from support.master_rig import Rig, repeated

WITH_PARAMS = """
name = "news"
command = "main.py {day}"
priority = 3
tags = ["daily"]
[params.day]
choices = ["today", "yesterday"]
[params]
pages = 3
"""


async def all_tasks(rig: Rig) -> list[Task]:
    return await rig.store.tasks(TaskFilter(), limit=1000)


def lines(count: int) -> list[Submission]:
    return [Submission("default", "news", tags=(f"line-{index}",)) for index in range(count)]


class TestSubmit:
    async def test_it_takes_the_spiders_defaults_and_pins_its_version(self, rig: Rig) -> None:
        version = await rig.deploy_spider(WITH_PARAMS)
        task = await rig.submit(params={"day": "today"}, env={"A": "1"}, tags=("eu", "daily"), retry_of="x")
        assert await rig.task(task.id) == task
        assert (task.state, task.version, task.priority, task.tags) == (
            State.PENDING,
            version,
            3,
            ("daily", "eu"),
        )
        assert (task.params, task.env, task.retry_of) == ({"day": "today"}, {"A": "1"}, "x")
        await rig.deploy_spider()
        assert (await rig.task(task.id)).version == version

    async def test_a_version_may_be_chosen(self, rig: Rig) -> None:
        old = (await rig.submit()).version
        await rig.deploy_spider(WITH_PARAMS)
        assert (await rig.submit(version=old)).version == old

    @pytest.mark.parametrize(
        ("given", "field"),
        [
            ({"params": {"day": "sometime"}}, "params.day"),
            ({"params": {"day": "today", "page": 1}}, "params.page"),
            ({"params": {"day": "today", "pages": "many"}}, "params.pages"),
            ({"params": {}}, "params.day"),
            ({"params": {"day": "today"}, "priority": 0}, "priority"),
            ({"params": {"day": "today"}, "priority": 11}, "priority"),
            ({"params": {"day": "today"}, "tags": ("ok", "")}, "tags"),
            ({"params": {"day": "today"}, "tags": (" daily",)}, "tags"),
            ({"params": {"day": "today"}, "tags": ("a\nb",)}, "tags"),
            ({"params": {"day": "today"}, "env": {"A B": "1"}}, "env.A B"),
            ({"params": {"day": "today"}, "env": {"SILKMILL_TASK_ID": "1"}}, "env.SILKMILL_TASK_ID"),
            ({"params": {"day": "today"}, "env": {"A": "\0"}}, "env.A"),
        ],
    )
    async def test_what_could_only_fail_later_is_refused_now(
        self, rig: Rig, given: dict[str, object], field: str
    ) -> None:
        await rig.deploy_spider(WITH_PARAMS)
        with pytest.raises(BadInput) as refusal:
            await rig.submit(**given)
        assert refusal.value.field == field
        assert refusal.value.remedy
        assert await all_tasks(rig) == []

    async def test_an_unknown_spider_or_version(self, rig: Rig) -> None:
        for submission in (
            Submission("default", "gnus"),
            Submission("other", "news"),
            Submission("default", "news", version="v000000000000"),
        ):
            with pytest.raises(NotFound):
                await rig.intake.submit(submission)

    async def test_a_version_of_another_spider_is_not_taken(self, rig: Rig) -> None:
        other = await rig.deploy_spider('name = "other"\ncommand = "x"')
        with pytest.raises(NotFound, match="default/news@"):
            await rig.submit(version=other)

    async def test_tasks_of_one_millisecond_keep_their_order(self, rig: Rig) -> None:
        tasks = [await rig.submit() for _ in range(20)]
        assert await pending(rig.store, 100) == tasks

    @pytest.mark.parametrize("point", ["store.before_commit", "store.after_commit"])
    async def test_a_lost_answer_makes_one_task(self, rig: Rig, point: str) -> None:
        faults.arm(f"{point}=error")
        task = await rig.submit()
        assert await all_tasks(rig) == [task]


class TestGroup:
    async def test_all_lines_become_tasks_in_order(self, rig: Rig) -> None:
        group, ids = await rig.intake.submit_group(lines(5), "key", b"body")
        assert (group.count, group.complete) == (5, True)
        heads = await pending(rig.store, 10)
        assert [task.id for task in heads] == ids
        assert [task.tags[0] for task in heads] == [f"line-{index}" for index in range(5)]
        assert {task.group for task in heads} == {"key"}

    async def test_one_bad_line_refuses_all_and_is_named(self, rig: Rig) -> None:
        bad = [*lines(2), Submission("default", "news", priority=99), *lines(1)]
        with pytest.raises(BadInput) as refusal:
            await rig.intake.submit_group(bad, "key", b"body")
        assert refusal.value.field == "lines[2].priority"
        assert "line 3" in refusal.value.detail
        with pytest.raises(BadInput) as refusal:
            await rig.intake.submit_group([Submission("default", "gnus")], "key", b"body")
        assert refusal.value.field == "lines[0].spider"
        assert await all_tasks(rig) == []
        assert await rig.store.record(Group, "key") is None

    async def test_too_few_and_too_many_lines(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(intake_module, "MAX_LINES", 3)
        for count in (0, 4):
            with pytest.raises(BadInput, match=f"{count} lines"):
                await rig.intake.submit_group(lines(count), None, b"")

    async def test_a_repeat_with_the_same_key_makes_nothing_new(self, rig: Rig) -> None:
        first = await rig.intake.submit_group(lines(3), "key", b"body")
        rig.clock.pass_time(3600)
        assert await rig.intake.submit_group(lines(3), "key", b"body") == first
        assert len(await all_tasks(rig)) == 3

    async def test_a_repeat_after_a_redeploy_keeps_the_version_of_the_first(self, rig: Rig) -> None:
        faults.arm("intake.after_group=error")
        with pytest.raises(Unavailable):
            await rig.intake.submit_group(lines(2), "key", b"body")
        faults.disarm()
        before = (await rig.versions.spider("default", "news")).version
        await rig.deploy_spider(WITH_PARAMS)
        await rig.intake.submit_group(lines(2), "key", b"body")
        assert {task.version for task in await all_tasks(rig)} == {before}

    async def test_the_same_key_with_another_body_is_refused(self, rig: Rig) -> None:
        await rig.intake.submit_group(lines(3), "key", b"body")
        with pytest.raises(BadInput, match="another submission") as refusal:
            await rig.intake.submit_group(lines(3), "key", b"other body")
        assert refusal.value.field == "Idempotency-Key"

    async def test_without_a_key_every_submission_is_its_own(self, rig: Rig) -> None:
        for _ in range(2):
            await rig.intake.submit_group(lines(3), None, b"body")
        assert len(await all_tasks(rig)) == 6

    async def test_a_complete_group_is_never_completed_again(self, rig: Rig) -> None:
        """Tasks that retention has deleted since must not come back."""
        await rig.intake.submit_group(lines(2), "key", b"body")
        alone = Rig(type(rig.store)(), rig.bucket, rig.clock)
        stored = await rig.store.record(Group, "key")
        assert stored is not None
        await alone.store.insert_record("key", stored.value)
        await alone.intake.submit_group(lines(2), "key", b"body")
        assert await alone.intake.groups.finish() == 0
        assert await all_tasks(alone) == []

    @pytest.mark.parametrize("point", ["store.before_commit", "store.after_commit", "intake.between_inserts"])
    @pytest.mark.parametrize("hit", [1, 2, 3, 4])
    async def test_cut_anywhere_a_repeat_completes_it(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch, point: str, hit: int
    ) -> None:
        monkeypatch.setattr(groups_module, "LINES_PER_INSERT", 2)
        faults.arm(f"{point}=error@{hit}*2")
        group, ids = await repeated(lambda: rig.intake.submit_group(lines(6), "key", b"body"))
        faults.disarm()
        assert group.complete
        assert [task.id for task in await pending(rig.store, 10)] == ids
        assert (await rig.store.record(Group, "key")).value.complete  # type: ignore[union-attr]

    @pytest.mark.parametrize("hit", [1, 2, 3])
    async def test_or_recovery_of_the_next_master_does(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch, hit: int
    ) -> None:
        monkeypatch.setattr(groups_module, "LINES_PER_INSERT", 2)
        point = "intake.after_group" if hit == 1 else "intake.between_inserts"
        faults.arm(f"{point}=error@{max(1, hit - 1)}")
        with pytest.raises(Unavailable):
            await rig.intake.submit_group(lines(6), "key", b"body")
        faults.disarm()
        assert len(await all_tasks(rig)) < 6
        restarted = rig.restarted()
        await restarted.recovery.tick()
        assert len(await all_tasks(rig)) == 6
        assert (await rig.store.record(Group, "key")).value.complete  # type: ignore[union-attr]

    async def test_the_same_master_completes_it_too(self, rig: Rig) -> None:
        await rig.recovery.tick()
        faults.arm("intake.after_group=error")
        with pytest.raises(Unavailable):
            await rig.intake.submit_group(lines(6), "key", b"body")
        faults.disarm()
        await rig.recovery.tick()
        assert len(await all_tasks(rig)) == 6

    async def test_the_same_submission_twice_at_once_makes_its_tasks_once(self, rig: Rig) -> None:
        """Both see no record; the later one must not announce as new what the first has placed already."""

        class LateStore(MemoryStore):
            async def record(self, kind: type[Any], key: str) -> Any:
                found = await super().record(kind, key)
                if kind is Group and found is None:
                    faults.arm("intake.between_inserts=error")
                    with suppress(Unavailable):
                        await first.intake.submit_group(lines(2), "key", b"body")
                return found

        first = rig
        late = Rig(LateStore(), rig.bucket, rig.clock)
        late.store.__dict__.update(rig.store.__dict__)
        with late.feed.subscribe() as hints:
            _, ids = await late.intake.submit_group(lines(2), "key", b"body")
            assert isinstance(await asyncio.wait_for(anext(hints), 1), Resync)
        assert [task.id for task in await pending(rig.store, 10)] == ids
        stored = await rig.store.record(Group, "key")
        assert stored is not None
        assert await rig.bucket.names("groups/") == [stored.value.object_name], "the loser's object is left"

    async def test_a_bucket_that_is_away_refuses_the_submission_whole(self, rig: Rig) -> None:
        class AwayBucket:
            async def put(self, name: str, data: bytes) -> None:
                raise Unavailable("bucket", "away")

        rig.intake.groups._bucket = AwayBucket()  # type: ignore[assignment]
        with pytest.raises(Unavailable):
            await rig.intake.submit_group(lines(2), "key", b"body")
        assert await all_tasks(rig) == []
