"""Keys of submitters: the same line is the same task, other content is refused, whatever happens."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from silkmill.domain.errors import BadInput, Unavailable
from silkmill.domain.placement import Placement
from silkmill.master.feed import Resync
from silkmill.master.keys import with_digest
from silkmill.master.submission import Submission
from silkmill.runtime import faults
from support.master_rig import Rig


def line(key: str | None, **given: object) -> Submission:
    return Submission("default", "news", key=key, **given)  # type: ignore[arg-type]


async def submitted(rig: Rig, *lines: Submission, once: str | None = None) -> list[str]:
    _, ids = await rig.intake.submit_group(lines, once, repr(lines).encode())
    return ids


async def count(rig: Rig) -> int:
    return sum((await rig.store.count_tasks()).values())


async def test_the_same_line_again_is_the_same_task(rig: Rig) -> None:
    first = await submitted(rig, line("a"), line("b"), line(None))
    second = await submitted(rig, line("c"), line("b"), line(None))
    assert second[1] == first[1]
    assert len({*first, *second}) == await count(rig) == 5
    assert (await rig.task(first[0])).key == "a"


async def test_nobody_is_told_of_a_task_that_was_not_made(rig: Rig) -> None:
    await submitted(rig, line("a"))
    told: list[object] = []
    rig.feed.watch(told.append)
    await submitted(rig, line("a"), line("b"))
    assert told == [Resync()]


async def test_a_list_that_grows_is_submitted_again_and_again(rig: Rig) -> None:
    for length in (10, 20, 20):
        ids = await submitted(rig, *(line(f"page-{number}") for number in range(length)))
        assert len(set(ids)) == length
    assert await count(rig) == 20


async def test_the_order_of_names_is_no_content(rig: Rig) -> None:
    first = await submitted(rig, line("a", env={"A": "1", "B": "2"}))
    assert await submitted(rig, line("a", env={"B": "2", "A": "1"})) == first


def test_the_hash_of_a_line_never_changes() -> None:
    """Tasks that are kept were compared by it: another one would refuse every list that comes again."""
    assert with_digest(line("a")).key_digest == "44136fa355b3678a1146ad16f7e8649e"
    full = line(
        "a", version="v1", env={"A": "1"}, priority=1, tags=("x",), placement=Placement("nodes", ("b",), {})
    )
    assert with_digest(full).key_digest == "85b6b8e04d0989ece77b4bdf60ae4d02"


@pytest.mark.parametrize("other", [{"env": {"A": "2"}}, {"priority": 1}, {"tags": ("x",)}])
async def test_other_content_is_refused_with_all_lines(rig: Rig, other: dict[str, object]) -> None:
    await submitted(rig, line("a", env={"A": "1"}))
    with pytest.raises(BadInput, match="line 2: the key 'a' belongs to task") as refused:
        await submitted(rig, line("b"), line("a", **other))
    assert refused.value.field == "lines[1].key"
    assert await count(rig) == 1


async def test_a_key_twice_in_one_submission(rig: Rig) -> None:
    ids = await submitted(rig, line("a"), line("a"), line("b"))
    assert ids[0] == ids[1]
    assert await count(rig) == 2
    with pytest.raises(BadInput, match="line 3: the key 'c' belongs to line 1"):
        await submitted(rig, line("c"), line("d"), line("c", priority=1))


async def test_a_repeat_of_the_whole_submission_answers_the_same(rig: Rig) -> None:
    old = await submitted(rig, line("a"))
    first = await submitted(rig, line("a"), line("b"), once="key-1")
    assert await submitted(rig, line("a"), line("b"), once="key-1") == first
    assert first[0] == old[0]


async def test_a_submission_that_was_cut_short_is_completed_without_doubles(rig: Rig) -> None:
    old = await submitted(rig, line("a"))
    faults.arm("intake.between_inserts=error")
    with pytest.raises(Unavailable):
        await submitted(rig, line("a"), line("b"), once="key-1")
    after = rig.restarted()
    assert await after.intake.groups.finish() == 1
    again = await submitted(after, line("a"), line("b"), once="key-1")
    assert again[0] == old[0]
    assert await count(rig) == 2


async def test_a_submission_that_was_cut_short_has_taken_its_keys(rig: Rig) -> None:
    faults.arm("intake.after_group=error")
    with pytest.raises(Unavailable):
        await submitted(rig, line("a"), once="key-1")
    with pytest.raises(BadInput, match="belongs to task"):
        await submitted(rig, line("a", priority=1))
    [task_id] = await submitted(rig, line("a"), once="key-1")
    assert (await rig.task(task_id)).priority == 5


async def test_two_submissions_at_the_same_time_agree(rig: Rig) -> None:
    faults.arm("intake.after_group=pause:0.05")
    both = await asyncio.gather(submitted(rig, line("a"), line("b")), submitted(rig, line("b"), line("c")))
    assert both[0][1] == both[1][0]
    assert await count(rig) == 3


async def test_or_the_later_one_is_refused(rig: Rig) -> None:
    faults.arm("intake.after_group=pause:0.05")
    both = await asyncio.gather(
        submitted(rig, line("a")), submitted(rig, line("a", priority=1)), return_exceptions=True
    )
    assert [type(answer) for answer in both] == [list, BadInput]


@pytest.mark.parametrize("key", ["", "x" * 201, "a\nb"])
async def test_a_key_that_is_none_is_refused(rig: Rig, key: str) -> None:
    with pytest.raises(BadInput, match="key"):
        await submitted(rig, line(key))


async def test_a_single_task_may_have_a_key_too(rig: Rig) -> None:
    first = await rig.intake.submit_once(line("a"), "one", b"1")
    assert await rig.intake.submit_once(line("a"), "two", b"2") == first
    with pytest.raises(BadInput, match="belongs to task"):
        await rig.intake.submit_once(replace(line("a"), priority=2), "three", b"3")
