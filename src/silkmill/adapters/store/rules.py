"""Rules of the store port that every store applies the same way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from silkmill.adapters.store.codec import kind_name
from silkmill.domain.attempt import Positions
from silkmill.domain.errors import BadInput, Conflict
from silkmill.domain.task import Task
from silkmill.ports.store import Stored


def check_change(old: Task, new: Task) -> None:
    """A swap must carry a fresh change_id, else another's write could be taken for one's own."""
    if not new.change_id or new.change_id == old.change_id:
        raise ValueError(f"swap of task {old.id} without a fresh change_id")


def closes_attempt(old: Task, new: Task) -> bool:
    """Whether the attempt that is open in `old` is not open any more in `new`."""
    return old.attempt is not None and (new.attempt is None or new.attempt.number != old.attempt.number)


def conflict(old: Task) -> Conflict:
    return Conflict(f"task {old.id} is not as it was at revision {old.revision}")


def record_conflict(old: Stored[Any]) -> Conflict:
    kind = kind_name(type(old.value))
    return Conflict(f"{kind} {old.key} is not as it was at revision {old.revision}")


def firings_between(schedule: str, before: str | None) -> tuple[str, str]:
    """All firings of a schedule have names between these two; `before`: those earlier than that firing."""
    return f"{schedule}@", before or f"{schedule}A"


def items_length(records: Sequence[bytes]) -> int:
    """Bytes of the items stream that the records make up: each is a line."""
    return sum(map(len, records)) + len(records)


def check_ordinal(stored: Positions, first_ordinal: int) -> None:
    """The batch fits by its offset, so it must fit by its ordinal too; otherwise the sender is broken."""
    if first_ordinal != stored.items_count:
        raise BadInput(
            f"items from ordinal {first_ordinal} on, but {stored.items_count} are stored",
            field="first_ordinal",
        )
