"""Log and items of an open attempt: stored once, at their place, acknowledged when durable."""

from __future__ import annotations

import pytest

from silkmill.domain.attempt import AttemptRef, Positions
from silkmill.domain.errors import BadInput, OffsetMismatch, StaleAttempt, StaleSession, Unavailable
from silkmill.domain.states import Phase
from silkmill.master.feed import ItemsGrew, LogGrew
from silkmill.runtime import faults
from support.master_rig import Agent, Rig, repeated

ONE, TWO, THREE = b'{"n":1}', b'{"n":2}', b'{"n":3}'
LINE = len(ONE) + 1


async def stored_log(rig: Rig, ref: AttemptRef) -> bytes:
    """What a reader sees: tail records up to the position."""
    end = (await rig.task(ref.task_id)).positions.log_offset
    log = bytearray(end)
    for record in await rig.store.log_tail(ref):
        log[record.offset : record.offset + len(record.data)] = record.data
    return bytes(log[:end])


async def stored_items(rig: Rig, ref: AttemptRef) -> list[tuple[int, bytes]]:
    count = (await rig.task(ref.task_id)).positions.items_count
    return [(ordinal, data) for ordinal, data in await rig.store.items(ref) if ordinal < count]


async def positions(rig: Rig, ref: AttemptRef) -> Positions:
    return (await rig.task(ref.task_id)).positions


class TestAppend:
    async def test_log_bytes_are_stored_in_order(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        assert await agent.log(ref, b"abc") == 3
        assert await agent.log(ref, b"\x00\xff\n", 3) == 6
        assert await stored_log(rig, ref) == b"abc\x00\xff\n"

    async def test_items_are_stored_by_ordinal(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        assert await agent.items(ref, [ONE, TWO]) == 2 * LINE
        assert await agent.items(ref, [THREE], 2 * LINE, 2) == 3 * LINE
        assert await stored_items(rig, ref) == [(0, ONE), (1, TWO), (2, THREE)]
        assert await positions(rig, ref) == Positions(0, 3 * LINE, 3)

    @pytest.mark.parametrize("phase", [Phase.PREPARING, Phase.EXECUTING, Phase.COMPLETING])
    async def test_any_phase_of_an_accepted_attempt_may_write(
        self, rig: Rig, agent: Agent, phase: Phase
    ) -> None:
        await rig.submit()
        if phase is Phase.PREPARING:
            ref = (await agent.accepted()).ref
        else:
            ref = await (agent.started() if phase is Phase.EXECUTING else agent.completing())
        assert await agent.log(ref, b"abc") == 3

    async def test_appends_do_not_change_the_revision(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        before = (await rig.task(ref.task_id)).revision
        await agent.log(ref, b"abc")
        await agent.items(ref, [ONE])
        assert (await rig.task(ref.task_id)).revision == before

    async def test_watchers_are_told_what_is_stored(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        with rig.feed.subscribe() as hints:
            await agent.log(ref, b"abc")
            await agent.items(ref, [ONE])
            assert [await anext(hints), await anext(hints)] == [LogGrew(ref, 3), ItemsGrew(ref, 1)]


class TestRepeat:
    async def test_a_repeat_is_acknowledged_and_stored_once(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        for _ in range(3):
            assert await agent.log(ref, b"abc") == 3
            assert await agent.items(ref, [ONE, TWO]) == 2 * LINE
        assert await stored_log(rig, ref) == b"abc"
        assert await stored_items(rig, ref) == [(0, ONE), (1, TWO)]

    async def test_a_repeat_of_an_older_batch_answers_the_present_end(self, agent: Agent) -> None:
        ref = await agent.running()
        await agent.log(ref, b"abc")
        await agent.log(ref, b"def", 3)
        assert await agent.log(ref, b"abc") == 6

    async def test_nothing_at_the_end_is_a_repeat(self, agent: Agent) -> None:
        ref = await agent.running()
        assert await agent.log(ref, b"") == 0
        assert await agent.items(ref, []) == 0


class TestGap:
    async def test_a_gap_names_where_to_go_on_and_stores_nothing(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        await agent.log(ref, b"abc")
        await agent.items(ref, [ONE])
        with pytest.raises(OffsetMismatch) as refusal:
            await agent.log(ref, b"xyz", 4)
        assert refusal.value.expected == 3
        with pytest.raises(OffsetMismatch) as refusal:
            await agent.items(ref, [THREE], 2 * LINE, 2)
        assert refusal.value.expected == LINE
        assert await stored_log(rig, ref) == b"abc"
        assert await stored_items(rig, ref) == [(0, ONE)]

    async def test_a_partial_overlap_is_refused(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        await agent.log(ref, b"abc")
        await agent.items(ref, [ONE])
        with pytest.raises(OffsetMismatch):
            await agent.log(ref, b"abcdef")
        with pytest.raises(OffsetMismatch):
            await agent.items(ref, [ONE, TWO])
        assert await positions(rig, ref) == Positions(3, LINE, 1)

    async def test_a_wrong_ordinal_at_the_right_offset_is_refused(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        await agent.items(ref, [ONE])
        with pytest.raises(BadInput, match="ordinal"):
            await agent.items(ref, [TWO], LINE, 7)
        assert await stored_items(rig, ref) == [(0, ONE)]


class TestFence:
    async def test_an_offered_attempt_of_another_session_is_refused(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        for session in ("", "other"):
            with pytest.raises(StaleSession):
                await rig.link.append_log(session, ref, 0, b"x")
            with pytest.raises(StaleSession):
                await rig.link.append_items(session, ref, 0, 0, [ONE])

    async def test_a_number_that_is_not_current_is_refused(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        for number in (0, 2):
            other = AttemptRef(ref.task_id, number)
            with pytest.raises(StaleAttempt):
                await agent.log(other, b"x")
            with pytest.raises(StaleAttempt):
                await agent.items(other, [ONE])

    async def test_a_task_that_does_not_exist_is_refused(self, agent: Agent) -> None:
        ref = AttemptRef("01900000-0000-7000-8000-000000000000", 1)
        for call in (agent.log(ref, b"x"), agent.items(ref, [ONE]), agent.finish(ref)):
            with pytest.raises(StaleAttempt):
                await call

    async def test_a_closed_attempt_is_refused(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        await agent.log(ref, b"abc")
        await agent.finish(ref, log_size=3)
        with pytest.raises(StaleAttempt):
            await agent.log(ref, b"late", 3)
        with pytest.raises(StaleAttempt):
            await agent.items(ref, [ONE])
        assert (await rig.task(ref.task_id)).history[0].log_offset == 3

    async def test_a_zombie_writes_nothing_into_its_replacement(self, rig: Rig, agent: Agent) -> None:
        old = await agent.running()
        await agent.items(old, [ONE])
        await rig.link.give_back(agent.session, old, "drain")
        new = await agent.started()
        assert (new.task_id, new.number) == (old.task_id, 2)
        with pytest.raises(StaleAttempt):
            await agent.items(old, [TWO], LINE, 1)
        await agent.items(new, [THREE])
        assert await stored_items(rig, new) == [(0, THREE)]
        assert await rig.store.items(old) == [(0, ONE)]

    async def test_after_a_restart_of_the_master_the_fence_still_holds(self, rig: Rig, agent: Agent) -> None:
        ref = await agent.running()
        again = rig.restarted()
        assert await again.link.append_log(agent.session, ref, 0, b"abc") == 3
        with pytest.raises(StaleSession):
            await again.link.append_log("other", ref, 3, b"x")

    async def test_another_master_may_have_gone_on(self, rig: Rig, agent: Agent) -> None:
        """What this master remembers of the attempt is old; no refusal is decided on that."""
        ref = await agent.running()
        other = rig.restarted()
        await agent.log(ref, b"abc")
        assert await other.link.append_log(agent.session, ref, 3, b"def") == 6
        assert await agent.log(ref, b"ghi", 6) == 9
        await other.link.exit(agent.session, ref)
        await agent.finish(ref, log_size=9)
        assert (await rig.task(ref.task_id)).state.final


@pytest.mark.parametrize("point", ["store.before_commit", "store.between_steps", "store.after_commit"])
@pytest.mark.parametrize("failures", [1, 2, 3])
async def test_an_append_cut_anywhere_is_stored_once_by_its_repeats(
    rig: Rig, agent: Agent, point: str, failures: int
) -> None:
    ref = await agent.running()
    faults.arm(f"{point}=error*{failures}")
    assert await repeated(lambda: agent.items(ref, [ONE, TWO])) == 2 * LINE
    faults.arm(f"{point}=error*{failures}")
    assert await repeated(lambda: agent.log(ref, b"abc")) == 3
    faults.disarm()
    assert await stored_items(rig, ref) == [(0, ONE), (1, TWO)]
    assert await stored_log(rig, ref) == b"abc"
    assert await positions(rig, ref) == Positions(3, 2 * LINE, 2)


async def test_items_without_their_position_do_not_exist(rig: Rig, agent: Agent) -> None:
    ref = await agent.running()
    faults.arm("store.between_steps=error*2")
    with pytest.raises(Unavailable):
        await agent.items(ref, [ONE])
    assert await stored_items(rig, ref) == []
    with pytest.raises(Unavailable):
        await agent.log(ref, b"abc")
    assert await stored_log(rig, ref) == b""
