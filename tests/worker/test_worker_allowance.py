"""The time that a preparation may take."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from silkmill.worker.allowance import Allowance
from silkmill.worker.prepare.errors import PreparationFailed


async def test_without_a_limit_it_takes_as_long_as_it_takes() -> None:
    async with Allowance(0, lambda: False) as allowance:
        allowance.count(away=True)
        allowance.count(away=False)
        await asyncio.sleep(0.05)


async def test_time_does_not_count_until_what_was_away_is_back() -> None:
    with pytest.raises(PreparationFailed, match=r"longer than limits\.prepare \(0\.05 s\)"):
        async with Allowance(0.05, lambda: False) as allowance:
            allowance.count(away=True)
            await asyncio.sleep(0.15)
            allowance.count(away=False)
            await asyncio.Event().wait()


async def test_to_say_again_that_nothing_is_away_is_no_new_beginning() -> None:
    with pytest.raises(PreparationFailed):
        async with Allowance(0.05, lambda: False) as allowance:
            while True:
                allowance.count(away=False)
                await asyncio.sleep(0.01)


async def test_what_is_told_after_the_end_changes_nothing() -> None:
    errors: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    with pytest.raises(PreparationFailed):
        async with Allowance(0.02, lambda: False) as allowance:
            await _wait_and_undo(allowance)
    assert errors == []


async def _wait_and_undo(allowance: Allowance) -> None:
    """To undo it takes longer than the limit, and others who wait for the same hear of it."""
    try:
        await asyncio.Event().wait()
    finally:
        allowance.count(away=True)
        allowance.count(away=False)
        await asyncio.sleep(0.1)


async def test_the_limit_of_what_ended_in_time_does_not_strike_later() -> None:
    async with Allowance(0.02, lambda: False):
        pass
    await asyncio.sleep(0.05)
