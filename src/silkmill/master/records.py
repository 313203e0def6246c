"""All small records of a kind, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TypeVar

from silkmill.ports.store import Store, Stored

Record = TypeVar("Record")


async def every_record(
    store: Store, kind: type[Record], *, at_once: int = 1000
) -> AsyncIterator[Stored[Record]]:
    """By key. What is written meanwhile may be missing."""
    after = ""
    while page := await store.records(kind, after=after, limit=at_once):
        for stored in page:
            yield stored
        after = page[-1].key
