"""The task record and `advance`, the only function that changes its state."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, assert_never

from silkmill.domain.attempt import Attempt, AttemptRef, ClosedAttempt, Positions
from silkmill.domain.errors import IllegalTransition, OffsetMismatch, StaleAttempt, StaleSession
from silkmill.domain.events import (
    Accept,
    Adopt,
    Assign,
    Cancel,
    Event,
    Exit,
    Fail,
    Finish,
    GiveBack,
    Hold,
    Lose,
    Release,
    Retry,
    Start,
)
from silkmill.domain.fields import with_fields
from silkmill.domain.outcome import CANCEL_NOT_VERIFIED, ErrorClass, Verdict
from silkmill.domain.placement import Placement, queue_name
from silkmill.domain.states import TRANSITIONS, Phase, Row, State

MAX_HISTORY = 100
SMALL_LOG_BYTES = 256 * 1024
"""A log that ends below this stays in the store and never becomes an object."""
CHUNK_GRACE = timedelta(hours=1)
"""Chunks of a merged log are kept so long for readers that have begun."""
DAMAGE_RETRY = timedelta(days=1)
"""A log with missing bytes is looked at again so seldom: somebody may have put an object back."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """What retention has taken away of an ended task, and when. `erased`: it is gone where it was stored."""

    logs_at: datetime | None = None
    items_at: datetime | None = None
    erased: bool = True

    def with_more(self, now: datetime, *, logs: bool, items: bool) -> Expiry:
        logs_at = self.logs_at or (now if logs else None)
        items_at = self.items_at or (now if items else None)
        same = (logs_at, items_at) == (self.logs_at, self.items_at)
        return self if same else Expiry(logs_at, items_at, erased=False)


@dataclass(frozen=True)  # without slots, for `with_fields`
class Task:
    """One run of a spider that was asked for. Equal revisions of one id are equal values.

    `order` sorts pending tasks inside a priority (submission time and line). `params`, `env` and `settings`
    (Scrapy's) are what the submitter gave; the version holds the rest of the configuration."""

    id: str
    project: str
    spider: str
    version: str
    created_at: datetime
    order: int
    params: dict[str, Any] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    priority: int = 5
    tags: tuple[str, ...] = ()
    state: State = State.PENDING
    reason: str | None = None
    """Why it waits, or how it ended; None when there is nothing to say."""
    attempt: Attempt | None = None
    history: tuple[ClosedAttempt, ...] = ()
    dropped: tuple[int, ...] = ()
    """Attempts that the history no longer keeps, but whose logs are still to be deleted."""
    last_number: int = 0
    """The highest attempt number ever given, withdrawn ones too."""
    counted_attempts: int = 0
    lost_attempts: int = 0
    cancel_requested: bool = False
    cancel_forced: bool = False
    cancel_reason: str | None = None
    error_class: ErrorClass | None = None
    exit_code: int | None = None
    signal: int | None = None
    traceback: str | None = None
    next_attempt_at: datetime | None = None
    retry_of: str | None = None
    group: str | None = None
    placement: Placement | None = None
    """None: any node may run it."""
    key: str | None = None
    key_digest: str | None = None
    """The submitter's own name for this task, unique for its spider, and the hash of what came with it."""
    schedule: str | None = None
    """The key of the schedule that it was made for."""
    firing: str | None = None
    """`<schedule>@<instant>#<shard>`, unique among all tasks; unset outside of the series."""
    after: str | None = None
    """The earlier firing that it waits for while it is created."""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    expiry: Expiry = Expiry()
    positions: Positions = Positions()
    revision: int = 0
    change_id: str = ""

    @property
    def row(self) -> Row:
        return self.state, self.attempt.phase if self.attempt else None

    @property
    def ref(self) -> AttemptRef | None:
        """The open attempt's name."""
        return AttemptRef(self.id, self.attempt.number) if self.attempt else None

    @property
    def queue(self) -> str:
        """The name of the queue that it waits in, when it does."""
        return queue_name(self.project, self.spider, self.placement)

    @property
    def waits(self) -> bool:
        """It is eligible and nobody has it."""
        return self.state is State.PENDING and self.attempt is None

    @property
    def waits_after(self) -> str | None:
        return self.after if self.state is State.CREATED else None

    @property
    def upkeep_at(self) -> datetime | None:
        """When a closed attempt's log wants work: merging at once, deleting its chunks later."""
        if self.expiry.logs_at is not None:
            return None
        if self.dropped:
            return self.created_at
        due = [at for closed in self.history if (at := log_upkeep_at(closed)) is not None]
        return min(due, default=None)


def log_upkeep_at(closed: ClosedAttempt) -> datetime | None:
    if closed.log_offset < SMALL_LOG_BYTES or closed.chunks_deleted:
        return None
    if closed.log_damaged_at is not None:
        return closed.log_damaged_at + DAMAGE_RETRY
    return closed.finished_at if closed.merged_at is None else closed.merged_at + CHUNK_GRACE


def advance(task: Task, event: Event) -> Task:
    """The next value of the task. Raises IllegalTransition when the table does not allow the event."""
    allowed = TRANSITIONS[task.row].get(event.move)
    if allowed is None:
        raise IllegalTransition(task.id, task.state, task.row[1], event.move)
    changed = _apply(task, event)
    if changed.row not in allowed:
        raise IllegalTransition(task.id, task.state, task.row[1], f"{event.move} to {changed.row}")
    return changed


def check_writer(task: Task | None, ref: AttemptRef, session: str, node: str = "") -> Task:
    """The fence: the task, if `ref` is its open attempt under `session`; else the refusal."""
    if task is None or task.attempt is None or task.attempt.number != ref.number:
        raise StaleAttempt(ref.task_id, ref.number)
    if task.attempt.session != session:
        raise StaleSession(node or task.attempt.node, session)
    return task


def appended(stored: int, offset: int, length: int) -> bool:
    """Whether an append of `length` at `offset` is wholly stored already (a repeat).

    Raises OffsetMismatch for a gap or a partial overlap: the sender goes on at `expected`."""
    if offset == stored:
        return length == 0
    if offset + length <= stored:
        return True
    raise OffsetMismatch(stored, offset)


def request_cancel(task: Task, *, force: bool, reason: str) -> Task:
    """The durable wish to stop; it forbids new attempts. Changes no state."""
    return with_fields(
        task,
        reason=CANCEL_NOT_VERIFIED if task.state is State.ABNORMAL else task.reason,
        cancel_requested=True,
        cancel_forced=task.cancel_forced or force,
        cancel_reason=task.cancel_reason or reason,
    )


def with_closed(task: Task, changed: ClosedAttempt) -> Task:
    """The task with one attempt of its history replaced (log upkeep; changes no state)."""
    history = tuple(changed if closed.number == changed.number else closed for closed in task.history)
    return with_fields(task, history=history)


def _apply(task: Task, event: Event) -> Task:
    match event:
        case Release():
            return with_fields(task, state=State.PENDING, reason=None, next_attempt_at=None, after=None)
        case Hold(reason, until):
            return with_fields(task, state=State.CREATED, reason=reason, next_attempt_at=until)
        case Assign():
            return _assign(task, event)
        case Accept():
            return _in_phase(task, Phase.PREPARING)
        case Start(pid, at):
            started = _in_phase(task, Phase.EXECUTING, pid=pid, started_at=at)
            return with_fields(started, state=State.RUNNING, started_at=task.started_at or at)
        case Exit():
            return _in_phase(task, Phase.COMPLETING)
        case Lose(reason):
            return with_fields(_in_session(task, None), state=State.ABNORMAL, reason=reason)
        case Adopt():
            return _adopt(task, event)
        case Finish(verdict, at):
            return _end(task, State.FINISHED, verdict, at)
        case Fail(verdict, at):
            return _end(task, State.ERROR, verdict, at)
        case Cancel(reason, at, verdict):
            cancelled = Verdict("cancelled", reason, ErrorClass.CANCELLED)
            ended = _end(task, State.CANCELLED, verdict or cancelled, at)
            return with_fields(ended, reason=reason, error_class=ErrorClass.CANCELLED)
        case Retry(verdict, at, next_attempt_at):
            closed = _close(task, verdict, at, accepted=False, counted=True)
            return with_fields(
                closed, state=State.CREATED, reason=verdict.reason, next_attempt_at=next_attempt_at
            )
        case GiveBack():
            return _give_back(task, event)
    assert_never(event)


def _assign(task: Task, event: Assign) -> Task:
    number = task.last_number + 1
    attempt = Attempt(
        number=number,
        node=event.node,
        session=event.session,
        phase=Phase.OFFERED,
        offered_at=event.at,
        spider_permit=event.spider_permit,
        project_permit=event.project_permit,
    )
    return with_fields(
        task, attempt=attempt, last_number=number, reason=None, next_attempt_at=None, positions=Positions()
    )


def _adopt(task: Task, event: Adopt) -> Task:
    attempt = _open(task)
    adopted = replace(
        attempt,
        node=event.node or attempt.node,
        session=event.session,
        phase=event.phase,
        pid=event.pid if event.pid is not None else attempt.pid,
        started_at=event.started_at or attempt.started_at,
    )
    state = State.PENDING if event.phase is Phase.PREPARING else State.RUNNING
    return with_fields(
        task, attempt=adopted, state=state, reason=None, started_at=task.started_at or adopted.started_at
    )


def _give_back(task: Task, event: GiveBack) -> Task:
    if _open(task).phase is Phase.OFFERED:
        return with_fields(task, attempt=None, state=State.PENDING, reason=event.reason)
    verdict = Verdict(
        "lost" if event.lost else "given_back",
        event.reason,
        ErrorClass.SYSTEM if event.lost else None,
        lost_with_worker=event.lost,
        statistics=event.statistics,
    )
    closed = _close(task, verdict, event.at, accepted=False, counted=False)
    return with_fields(closed, state=State.PENDING, reason=event.reason)


def _end(task: Task, state: State, verdict: Verdict, at: datetime) -> Task:
    withdrawn = task.attempt is not None and task.attempt.phase is Phase.OFFERED
    if task.attempt is None or withdrawn:
        closed = with_fields(task, attempt=None)
    else:
        closed = _close(task, verdict, at, accepted=True, counted=not verdict.lost_with_worker)
    return with_fields(
        closed,
        state=state,
        reason=verdict.reason,
        error_class=verdict.error_class,
        exit_code=verdict.exit_code,
        signal=verdict.signal,
        traceback=verdict.traceback,
        next_attempt_at=None,
        finished_at=at,
    )


def _close(task: Task, verdict: Verdict, at: datetime, *, accepted: bool, counted: bool) -> Task:
    attempt = _open(task)
    closed = ClosedAttempt(
        number=attempt.number,
        node=attempt.node,
        phase=attempt.phase,
        outcome=verdict.outcome,
        error_class=verdict.error_class,
        reason=verdict.reason,
        exit_code=verdict.exit_code,
        signal=verdict.signal,
        accepted=accepted,
        counted=counted,
        started_at=attempt.started_at,
        finished_at=at,
        log_offset=task.positions.log_offset,
        items_offset=task.positions.items_offset,
        items_count=task.positions.items_count,
        statistics=verdict.statistics,
        log_gap=attempt.log_gap,
    )
    history = (*task.history, closed)
    dropped = [past.number for past in history[:-MAX_HISTORY]]
    return with_fields(
        task,
        attempt=None,
        history=history[-MAX_HISTORY:],
        dropped=(*task.dropped, *dropped),
        counted_attempts=task.counted_attempts + (1 if counted else 0),
        lost_attempts=task.lost_attempts + (1 if verdict.lost_with_worker else 0),
    )


def _in_phase(task: Task, phase: Phase, pid: int | None = None, started_at: datetime | None = None) -> Task:
    attempt = _open(task)
    return with_fields(
        task,
        attempt=replace(
            attempt, phase=phase, pid=pid or attempt.pid, started_at=started_at or attempt.started_at
        ),
    )


def _in_session(task: Task, session: str | None) -> Task:
    return with_fields(task, attempt=replace(_open(task), session=session))


def _open(task: Task) -> Attempt:
    if task.attempt is None:
        raise IllegalTransition(task.id, task.state, None, "an event of an open attempt")
    return task.attempt
