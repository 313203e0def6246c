"""Deadlines: every state that is not final has one, and what happens when it has passed. Pure decisions."""

from __future__ import annotations

from datetime import datetime

from silkmill.domain.attempt import Attempt
from silkmill.domain.events import Fail, GiveBack, Lose
from silkmill.domain.outcome import CANCEL_NOT_VERIFIED, ErrorClass, Facts, Verdict
from silkmill.domain.retry import decide_end
from silkmill.domain.spider import SpiderConfig
from silkmill.domain.states import Phase, State
from silkmill.domain.task import Task, advance
from silkmill.master.registration import lose_with_worker

OFFERED_SECONDS = 10.0
PREPARED_SECONDS = 30.0
"""Beyond limits.prepare: its agent, which ends it too, is to come first, for its log tells why."""
COMPLETING_SECONDS = 300.0
ABNORMAL_SECONDS = 5.0
CANCEL_SECONDS = 24 * 3600.0
ORPHAN_SECONDS = 15.0


def overdue_offer(task: Task, stood: float, orphan: bool, now: datetime) -> Task | None:
    """An offer that nobody takes is withdrawn, at once when its session is over; it counts for nothing."""
    if orphan:
        return advance(task, GiveBack("withdrawn: the session it was offered to is over", now))
    if stood < OFFERED_SECONDS:
        return None
    return advance(task, GiveBack(f"withdrawn: not accepted within {OFFERED_SECONDS:g} s", now))


def overdue_orphan(task: Task, attempt: Attempt, orphaned: float, now: datetime) -> Task | None:
    """An attempt under a session that is not the present one of its node went with its worker."""
    if orphaned < ORPHAN_SECONDS:
        return None
    reason = f"lost: node {attempt.node} has had no session that holds it for {ORPHAN_SECONDS:g} s"
    return lose_with_worker(task, reason, now, verified=False)


def overdue_abnormal(task: Task, stood: float, now: datetime) -> Task | None:
    """What was lost is given back; a cancel waits a day for proof that the processes are dead."""
    if not task.cancel_requested:
        reason = task.reason or "lost"
        return lose_with_worker(task, reason, now, verified=False) if stood >= ABNORMAL_SECONDS else None
    if stood < CANCEL_SECONDS:
        return None
    return advance(task, Fail(Verdict("lost", CANCEL_NOT_VERIFIED, ErrorClass.CANCELLED), now))


def overdue_preparation(
    task: Task, stood: float, config: SpiderConfig, now: datetime, jitter: float
) -> Task | None:
    """Preparation that takes longer than limits.prepare has failed."""
    limit = config.limits.prepare_seconds
    if not limit or stood < limit + PREPARED_SECONDS:
        return None
    reason = f"preparation took longer than limits.prepare ({limit:g} s)"
    verdict = Verdict("never_started", reason, ErrorClass.SYSTEM)
    # Its agent may still be at it: nothing is proven about processes.
    facts = Facts(ended_at=now, verified=False)
    return advance(task, decide_end(task, facts, verdict, config.retry, now, jitter))


def overdue_completing(task: Task, stood: float) -> Task | None:
    """The rest of the streams does not come, though store and bucket would take it."""
    if stood < COMPLETING_SECONDS:
        return None
    reason = f"lost: completing without progress for {COMPLETING_SECONDS:g} s"
    if task.cancel_requested:
        reason = CANCEL_NOT_VERIFIED
    return advance(task, Lose(reason))


def is_orphan(attempt: Attempt, present_sessions: dict[str, str]) -> bool:
    return attempt.session is None or present_sessions.get(attempt.node) != attempt.session


def stand_of(task: Task) -> tuple[object, ...]:
    """What must change for a deadline to begin anew: completing attempts by their progress too."""
    progress = task.positions if task.row == (State.RUNNING, Phase.COMPLETING) else None
    session = task.attempt.session if task.attempt else None
    return task.last_number, task.row, session, progress
