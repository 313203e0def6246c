"""Whether retention has left what a reader asks for."""

from __future__ import annotations

from datetime import datetime

from silkmill.domain.errors import NotFound
from silkmill.domain.task import Task


def check_log_kept(task: Task) -> None:
    """Raises NotFound."""
    _check("log", task, task.expiry.logs_at)


def check_items_kept(task: Task) -> None:
    """Raises NotFound."""
    _check("items", task, task.expiry.items_at)


def _check(what: str, task: Task, deleted_at: datetime | None) -> None:
    if deleted_at is not None:
        when = f"{deleted_at:%Y-%m-%dT%H:%M:%SZ}"
        raise NotFound(what, task.id, remedy=f"retention deleted it at {when}; see docs/retention.md")
