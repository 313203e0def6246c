"""What follows the end of an attempt: finished, a new attempt, or an end for good."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from silkmill.domain.events import Cancel, Event, Fail, Finish, GiveBack, Lose, Retry
from silkmill.domain.outcome import CANCEL_NOT_VERIFIED, ErrorClass, Facts, Verdict
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
    attempt is forbidden by it. A cancel whose processes are not proven dead is a LOSE, which closes
    nothing."""
    if verdict.error_class is None:
        return Finish(verdict, now)
    if verdict.error_class == ErrorClass.CANCELLED:
        return _cancelled(task, verdict, now, verified=facts.verified)
    if facts.lost_with_worker:
        return decide_lost_with_worker(task, verdict, now, verified=facts.verified)
    if task.cancel_requested and (facts.lost or may_retry(task, verdict, policy)):
        return _cancelled(task, verdict, now, verified=facts.verified)
    if not may_retry(task, verdict, policy):
        return Fail(verdict, now)
    return Retry(
        verdict, now, now + timedelta(seconds=backoff_seconds(task.counted_attempts, policy, jitter))
    )


def decide_lost_with_worker(task: Task, verdict: Verdict, now: datetime, *, verified: bool) -> Event:
    """An attempt went with its worker: wait again, or end it as poison.

    `verified`: its processes are known to be dead, without which a cancel is not one."""
    if task.cancel_requested:
        return _cancelled(task, verdict, now, verified=verified)
    if task.lost_attempts + 1 >= MAX_LOST_WITH_WORKER:
        reason = f"poison: {task.lost_attempts + 1} workers were lost with it"
        return Fail(replace(verdict, reason=reason, permanent=True), now)
    reason = verdict.reason or "lost with its worker"
    return GiveBack(reason, now, lost=True, statistics=verdict.statistics)


def _cancelled(task: Task, verdict: Verdict, now: datetime, *, verified: bool) -> Event:
    if not verified:
        return Lose(CANCEL_NOT_VERIFIED)
    return Cancel(task.cancel_reason or "cancelled", now, verdict)


def may_retry(task: Task, verdict: Verdict, policy: RetryPolicy) -> bool:
    if verdict.permanent or verdict.error_class not in policy.on:
        return False
    return task.counted_attempts + 1 < policy.max_attempts


def backoff_seconds(earlier_attempts: int, policy: RetryPolicy, jitter: float) -> float:
    """Exponential with a cap; the jitter takes away up to half of it."""
    doubled = policy.backoff_seconds * 2.0 ** min(earlier_attempts, 32)
    return float(min(doubled, policy.backoff_max_seconds)) * (1.0 - jitter / 2.0)
