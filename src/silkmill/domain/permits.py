"""Permits: how many tasks of a spider or a project run at once, as names that only one attempt can hold."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """`owner`: `<project>/<spider>` or `<project>`. `most`: tasks at once; 0 is no limit."""

    owner: str
    most: int


def has_room(limit: Limit, open_attempts: int) -> bool:
    """Whether one more of the owner's tasks may run beside so many."""
    return not limit.most or open_attempts < limit.most


def free_permit(limit: Limit, held: Collection[str | None]) -> str | None:
    """A permit that nobody holds; None when there is no room.

    `held`: one for each open attempt of the owner, None for one that was claimed while there was no limit."""
    if not has_room(limit, len(held)):
        return None
    taken = set(held)
    return next(name for name in _permits(limit) if name not in taken)


def _permits(limit: Limit) -> Iterable[str]:
    return (f"{limit.owner}#{number}" for number in range(limit.most))
