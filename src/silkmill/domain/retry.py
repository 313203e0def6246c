"""What follows the end of an attempt: finished, a new attempt, or an end for good."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from silkmill.domain.events import Cancel, Event, Fail, Finish, GiveBack, Retry
from silkmill.domain.outcome import ErrorClass, Facts, Verdict
from silkmill.domain.task import Task

MAX_LOST_WITH_WORKER = 3
"""After so many lost workers a task is poison: it ends `error`, class `system`."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The `[retry]` part of spider.toml. Seconds."""

    max_attempts: int = 3
    on: tuple[str, ...] = (ErrorClass.SYSTEM, ErrorClass.NETWORK)
    backoff_seconds: float = 10.0
    backoff_max_seconds: float = 600.0


def decide_end(
    task: Task, facts: Facts, verdict: Verdict, policy: RetryPolicy, now: datetime, jitter: float
) -> Event:
    """The closing event of the open attempt, whose outcome is `verdict`.

    `jitter` is a random number in [0, 1). A true outcome stands even when a cancel came too late; only a new
    attempt is forbidden by it (PROTOCOL, Cancel)."""
    if verdict.error_class is None:
        return Finish(verdict, now)
    if verdict.error_class == ErrorClass.CANCELLED:
        return Cancel(task.cancel_reason or "cancelled", now, verdict)
    if facts.lost_with_worker:
        return decide_lost_with_worker(task, verdict, now)
    if not may_retry(task, verdict, policy):
        return Fail(verdict, now)
    if task.cancel_requested:
        return Cancel(task.cancel_reason or "cancelled", now, verdict)
    return Retry(
        verdict, now, now + timedelta(seconds=backoff_seconds(task.counted_attempts, policy, jitter))
    )


def decide_lost_with_worker(task: Task, verdict: Verdict, now: datetime) -> Event:
    """An attempt went with its worker: wait again, or end it as poison."""
    if task.cancel_requested:
        return Cancel(task.cancel_reason or "cancelled", now, verdict)
    if task.lost_attempts + 1 >= MAX_LOST_WITH_WORKER:
        poison = Verdict(
            "lost", f"poison: {task.lost_attempts + 1} workers were lost with it", ErrorClass.SYSTEM
        )
        return Fail(poison, now)
    return GiveBack(verdict.reason or "lost with its worker", now, lost=True)


def may_retry(task: Task, verdict: Verdict, policy: RetryPolicy) -> bool:
    if verdict.permanent or verdict.error_class not in policy.on:
        return False
    return task.counted_attempts + 1 < policy.max_attempts


def backoff_seconds(earlier_attempts: int, policy: RetryPolicy, jitter: float) -> float:
    """Exponential with a cap; the jitter takes away up to half of it."""
    doubled = policy.backoff_seconds * 2.0 ** min(earlier_attempts, 32)
    return float(min(doubled, policy.backoff_max_seconds)) * (1.0 - jitter / 2.0)
