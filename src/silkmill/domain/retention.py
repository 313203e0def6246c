"""How long and how much is kept of what has ended, and which of it goes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from silkmill.domain.task import Expiry, Task

SUBMISSION_KEPT = timedelta(hours=25)
"""A submission may be repeated or completed for a day; so long its tasks stay, or a repeat would make them
again."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What is None is kept for ever, however much it is. Ages count from the end of a task; that of a
    version, which goes once nothing needs it, from its creation.

    `tasks`: so many ended tasks. `log_bytes`: so many bytes of the logs of ended tasks."""

    tasks_for: timedelta | None = None
    tasks: int | None = None
    logs_for: timedelta | None = None
    log_bytes: int | None = None
    items_for: timedelta | None = None
    versions_for: timedelta | None = None

    @property
    def keeps_everything(self) -> bool:
        return self == Policy()


@dataclass(frozen=True, slots=True)
class Surplus:
    """How much more there is than may be kept, from one task on. It goes, oldest first."""

    tasks: int = 0
    log_bytes: int = 0

    def past(self, task: Task) -> Surplus:
        """From the next task on. What may not go yet counts too, or newer ones would go in its place."""
        if not task.state.final:
            return self
        return Surplus(self.tasks - 1, self.log_bytes - log_bytes(task))


def surplus_of(policy: Policy, ended_tasks: int, log_bytes: int) -> Surplus:
    return Surplus(
        0 if policy.tasks is None else ended_tasks - policy.tasks,
        0 if policy.log_bytes is None else log_bytes - policy.log_bytes,
    )


def may_lose(task: Task, now: datetime) -> bool:
    """Whether a task has ended and nothing more is going to be done with it."""
    being_merged = task.upkeep_at is not None and not any(past.log_damaged_at for past in task.history)
    resubmitted = task.group is not None and now < task.created_at + SUBMISSION_KEPT
    return task.state.final and not being_merged and not resubmitted


def loses_itself(task: Task, now: datetime, policy: Policy, surplus: Surplus) -> bool:
    """Whether the whole task goes."""
    return may_lose(task, now) and (_is_over(task, now, policy.tasks_for) or surplus.tasks > 0)


def after_losses(task: Task, now: datetime, policy: Policy, surplus: Surplus) -> Expiry:
    """What of the task is gone, or goes now; a task that loses nothing has the expiry that it had."""
    if not may_lose(task, now):
        return task.expiry
    logs = _is_over(task, now, policy.logs_for) or (surplus.log_bytes > 0 and log_bytes(task) > 0)
    items = _is_over(task, now, policy.items_for)
    return task.expiry.with_more(now, logs=logs, items=items)


def log_bytes(task: Task) -> int:
    """Of its logs that are kept, as they were written."""
    if task.expiry.logs_at is not None:
        return 0
    gaps = (past.log_gap or (0, 0) for past in task.history)
    return sum(past.log_offset for past in task.history) - sum(end - start for start, end in gaps)


def _is_over(task: Task, now: datetime, kept_for: timedelta | None) -> bool:
    return kept_for is not None and task.finished_at is not None and now - task.finished_at > kept_for
