"""Expressions that never end are given up, and hold up neither this process nor other expressions."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.helpers import wait_until_async

from silkmill.runtime import expressions as module
from silkmill.runtime.expressions import Expressions, TooSlow

HOSTILE = [b"a*a*a*a*a*[bc]", b"^(a|aa)+$", b"(.*),(.*),(.*)x", b"(a+)+$"]
LINE = b"a" * 700 + b"," * 700 + b"!"


@pytest.fixture
async def expressions() -> AsyncIterator[Expressions]:
    others.clear()
    others.update(children())
    expressions = Expressions()
    yield expressions
    await expressions.close()
    assert children() == set()


others: set[int] = set()
"""What tests before these have left to this process."""


def children() -> set[int]:
    return set(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())) - others


async def test_each_text_is_answered(expressions: Expressions) -> None:
    texts = [b"timed out", b"", b"timeout", b"\xff timed? out", "größe".encode()]
    assert await expressions.matches(b"timed? ?out", texts) == bytes([1, 0, 1, 0, 0])
    assert await expressions.matches(b"(?x) gr .. \xc3 # two lines\n | ^$", [b""]) == b"\1"
    long = b"x" * 60_000 + b"y"
    assert await expressions.matches(b"y$", [long] * 20) == b"\1" * 20
    assert len(children()) == 1, "one process for all questions"


@pytest.mark.parametrize("expression", HOSTILE, ids=str)
async def test_one_that_never_ends_is_given_up_while_everything_else_goes_on(
    expressions: Expressions, expression: bytes
) -> None:
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(_is_too_slow(expressions, expression))
        turns = 0
        while not asked.done():
            await asyncio.sleep(0.001)
            turns += 1
    assert asked.result()
    assert turns > 20
    assert children() == set()
    assert await expressions.matches(b"a*", [LINE]) == b"\1"


async def _is_too_slow(expressions: Expressions, expression: bytes) -> bool:
    with pytest.raises(TooSlow):
        await expressions.matches(expression, [LINE])
    return True


async def test_a_machine_that_gives_the_process_no_time_is_not_waited_for(
    expressions: Expressions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WALL_SECONDS", 0.0)
    assert await _is_too_slow(expressions, b"a")
    assert children() == set()


async def test_a_few_at_once(expressions: Expressions) -> None:
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(expressions.matches(b"a+", [LINE])) for _ in range(20)]
        most = 0
        while not all(question.done() for question in asked):
            await asyncio.sleep(0.001)
            most = max(most, len(children()))
    assert {question.result() for question in asked} == {b"\1"}
    assert 1 <= most <= module.AT_ONCE


async def test_the_process_of_a_question_that_nobody_waits_for_is_killed(expressions: Expressions) -> None:
    asked = asyncio.create_task(expressions.matches(HOSTILE[0], [LINE]))
    await wait_until_async(a_child_works)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert children() == set()


async def a_child_works() -> bool:
    """Its start is over: it has used more than that takes."""
    used = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in children()]
    return any(int(fields[11]) + int(fields[12]) > 20 for fields in used)


async def test_processes_that_nobody_needs_are_ended(expressions: Expressions) -> None:
    await asyncio.gather(*(expressions.matches(b"a+", [LINE]) for _ in range(2)))
    assert len(children()) == 2
    await expressions.tick()
    await expressions.matches(b"a+", [LINE])
    await expressions.tick()
    assert len(children()) == 1, "the one that was used stays"
    await expressions.tick()
    assert children() == set()
