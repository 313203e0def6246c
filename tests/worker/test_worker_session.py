"""The session's calls while a master goes away and comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from silkmill.domain.errors import Unavailable
from silkmill.runtime import loop
from silkmill.worker.session import Session

CONTENT = b"0123456789"


class BreakingLink:
    """Gives three bytes, then breaks; records from where it was asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def blob(self, sha256: str, start: int = 0) -> AsyncIterator[bytes]:
        self.asked.append(start)
        assert len(self.asked) < 10
        for position in range(start, min(start + 3, len(CONTENT))):
            yield CONTENT[position : position + 1]
        if start + 3 < len(CONTENT):
            raise Unavailable("link", "broken by the test")


async def test_a_blob_goes_on_behind_the_last_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop.Backoff, "next", lambda _: 0.0)
    link: Any = BreakingLink()
    session = Session(link, lambda: pytest.fail("registered"), lambda _: None)
    assert b"".join([piece async for piece in session.blob("ab")]) == CONTENT
    assert link.asked == [0, 3, 6, 9]
