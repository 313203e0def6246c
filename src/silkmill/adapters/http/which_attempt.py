"""Which attempt a reader means: the one named, else the current one."""

from __future__ import annotations

from silkmill.adapters.http.task_view import latest_positions
from silkmill.domain.attempt import AttemptRef, Positions
from silkmill.domain.errors import NotFound
from silkmill.domain.task import Task


def choose_attempt(task: Task, number: int | None) -> tuple[AttemptRef | None, Positions]:
    """The attempt and how much of it is stored; (None, zero) while the task has had none. Raises NotFound."""
    current = current_number(task)
    if number is None or number == current:
        return (AttemptRef(task.id, current) if current else None), latest_positions(task)
    for closed in task.history:
        if closed.number == number:
            positions = Positions(closed.log_offset, closed.items_offset, closed.items_count)
            return AttemptRef(task.id, number), positions
    known = ", ".join(map(str, numbers(task))) or "none yet"
    raise NotFound("attempt", f"{task.id}.{number}", remedy=f"attempts that can be read: {known}")


def current_number(task: Task) -> int | None:
    return next(reversed(numbers(task)), None)


def numbers(task: Task) -> list[int]:
    """The attempts that can be read, in order."""
    closed = [closed.number for closed in task.history]
    return [*closed, task.attempt.number] if task.attempt else closed
