"""Other ids that the one node of an embedded store has had: its id file was lost, they never come back."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import replace

from silkmill.domain.errors import Conflict
from silkmill.domain.node import Node
from silkmill.ports.store import Store, Stored

_PAGE = 1000


async def lose_predecessors(store: Store, node: Node) -> list[Node]:
    """Mark them lost; answers with all there ever were: a start that was cut may have left them attempts.

    The agent of `node` holds the data directory alone: what they had is in its hands. Raises Unavailable."""
    found = []
    async for stored in _nodes(store):
        if stored.value.embedded and stored.value.id != node.id:
            await _lose(store, stored)
            found.append(stored.value)
    return found


async def _nodes(store: Store) -> AsyncIterator[Stored[Node]]:
    after = ""
    while page := await store.records(Node, after=after, limit=_PAGE):
        for stored in page:
            yield stored
        after = page[-1].key


async def _lose(store: Store, stored: Stored[Node]) -> None:
    change_id = secrets.token_hex(8)
    latest: Stored[Node] | None = stored
    while latest is not None and not latest.value.lost:
        try:
            await store.replace_record(latest, replace(latest.value, lost=True), change_id)
            return
        except Conflict:
            latest = await store.record(Node, stored.key)
