"""An async context manager in a thread: entered, left, cancelled, and its errors told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from silkmill.cli.background import in_background


class Recorded:
    def __init__(self, *, fails_at: str = "") -> None:
        self.fails_at, self.seen = fails_at, list[str]()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        self._step("enter")
        try:
            yield "held"
        except asyncio.CancelledError:
            self.seen.append("cut")
            raise
        self._step("drain")

    def _step(self, name: str) -> None:
        self.seen.append(name)
        if name == self.fails_at:
            raise OSError(name)


def test_it_is_entered_and_left() -> None:
    recorded = Recorded()
    with in_background(recorded.open) as held:
        assert (held, recorded.seen) == ("held", ["enter"])
    assert recorded.seen == ["enter", "drain"]


def test_an_error_of_the_body_cuts() -> None:
    recorded = Recorded()
    with pytest.raises(KeyboardInterrupt), in_background(recorded.open):
        raise KeyboardInterrupt
    assert recorded.seen == ["enter", "cut"]


@pytest.mark.parametrize("step", ["enter", "drain"])
def test_its_own_error_is_raised_here(step: str) -> None:
    with pytest.raises(OSError, match=step), in_background(Recorded(fails_at=step).open):
        pass
