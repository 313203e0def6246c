"""A task as the API and `show --json` give it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

import msgspec

from silkmill.adapters.http.parts import Parts
from silkmill.adapters.http.task_shapes import AttemptShape, StatsShape, TaskShape, TaskState, TaskSummary
from silkmill.domain.attempt import Attempt, AttemptRef, ClosedAttempt, Positions
from silkmill.domain.pace import items_per_minute
from silkmill.domain.statistics import Live, Statistics
from silkmill.domain.task import Task

UNKNOWN = Live()
HEAVY = ("attempts", "traceback", "status")
"""What a list of tasks leaves out."""


def task_view(task: Task, now: datetime, live: Live = UNKNOWN, status: str | None = None) -> TaskShape:
    """The fields of docs/http.md, which `show --json` prints. What is not known is null.

    What each attempt has once is of the latest one, so that start, run time and end belong together.
    `live`: what its open attempt tells; `status`: the latest STATUS message, as JSON."""
    positions, statistics = latest_positions(task), _statistics(task, live)
    latest = _latest(task)
    return {
        "id": task.id,
        "project": task.project,
        "spider": task.spider,
        "version": task.version,
        "state": task.state,
        "phase": task.attempt.phase if task.attempt else None,
        "reason": task.reason,
        "priority": task.priority,
        "params": task.params,
        "settings": task.settings,
        "tags": task.tags,
        "node": latest.node if latest else None,
        "attempt": latest.number if latest else None,
        "attempts": _attempts(task),
        "error_class": task.error_class,
        "exit_code": task.exit_code,
        "signal": task.signal,
        "traceback": task.traceback,
        "retry_of": task.retry_of,
        "next_attempt_at": task.next_attempt_at,
        "progress": statistics.progress,
        "status": None if status is None else msgspec.Raw(status),
        "stats": stats_view(task, now, live),
        "items": positions.items_count,
        "log_bytes": positions.log_offset,
        "created_at": task.created_at,
        "started_at": latest.started_at if latest else None,
        "finished_at": task.finished_at,
        "schedule": task.schedule,
        "firing": task.firing,
        "after": task.after,
        "log_deleted_at": task.expiry.logs_at,
        "items_deleted_at": task.expiry.items_at,
    }


async def full_view(parts: Parts, task: Task) -> TaskShape:
    """The task with all that is known of it now. Raises Unavailable."""
    latest = _latest(task)
    status: str | None = None
    if latest is not None and latest.started_at is not None:
        status = (await parts.statistics.series(AttemptRef(task.id, latest.number))).status
    return task_view(task, parts.clock.now(), parts.statistics.of(task), status)


def summary(task: Task, now: datetime, live: Live) -> TaskSummary:
    view = cast(dict[str, Any], task_view(task, now, live))
    return cast(TaskSummary, {name: value for name, value in view.items() if name not in HEAVY})


def state_view(task: Task) -> TaskState:
    """What a hint says of a task; whoever wants more reads it."""
    return {
        "id": task.id,
        "revision": task.revision,
        "state": task.state,
        "phase": task.row[1],
        "attempt": task.attempt.number if task.attempt else None,
        "reason": task.reason,
        "next_attempt_at": task.next_attempt_at,
    }


def stats_view(task: Task, now: datetime, live: Live = UNKNOWN) -> StatsShape:
    """The numbers of the latest attempt: an open one's are of now, an ended one's lie in its record."""
    latest, positions, statistics = _latest(task), latest_positions(task), _statistics(task, live)
    started_at = latest.started_at if latest else None
    end = getattr(latest, "finished_at", now)
    per_minute = None
    if started_at is not None:
        per_minute = items_per_minute(positions.items_count, started_at, end, live.counts)
    return {
        "wait_ms": _milliseconds(task.created_at, task.started_at or task.finished_at or now),
        "runtime_ms": _milliseconds(started_at, end) if started_at else None,
        "items": positions.items_count,
        "items_per_minute": per_minute,
        "errors": statistics.errors,
        "log_lines": statistics.log_lines,
        "log_bytes": positions.log_offset,
        "rss_bytes": statistics.rss_bytes,
        "cpu_seconds": statistics.cpu_seconds,
        "processes": statistics.processes,
        "read_bytes": statistics.read_bytes,
        "written_bytes": statistics.written_bytes,
    }


def latest_positions(task: Task) -> Positions:
    """Of the open attempt, else of the last one: what `logs` and `items` show without `--attempt`."""
    if task.attempt is None and task.history:
        return _positions(task.history[-1])
    return task.positions


def _attempts(task: Task) -> list[AttemptShape]:
    closed = [_closed(attempt) for attempt in task.history]
    return [*closed, _open(task.attempt, task.positions)] if task.attempt else closed


def _closed(attempt: ClosedAttempt) -> AttemptShape:
    return {
        "number": attempt.number,
        "node": attempt.node,
        "phase": attempt.phase,
        "outcome": attempt.outcome,
        "error_class": attempt.error_class,
        "reason": attempt.reason,
        "exit_code": attempt.exit_code,
        "signal": attempt.signal,
        "accepted": attempt.accepted,
        "started_at": attempt.started_at,
        "finished_at": attempt.finished_at,
        "items": attempt.items_count,
        "log_bytes": attempt.log_offset,
    }


def _open(attempt: Attempt, positions: Positions) -> AttemptShape:
    return {
        "number": attempt.number,
        "node": attempt.node,
        "phase": attempt.phase,
        "outcome": None,
        "error_class": None,
        "reason": None,
        "exit_code": None,
        "signal": None,
        "accepted": False,
        "started_at": attempt.started_at,
        "finished_at": None,
        "items": positions.items_count,
        "log_bytes": positions.log_offset,
    }


def _statistics(task: Task, live: Live) -> Statistics:
    """Of the last attempt, as they were recorded at its end, or are told of an open one."""
    if task.attempt is not None:
        return live.statistics
    return task.history[-1].statistics if task.history else Statistics()


def _latest(task: Task) -> Attempt | ClosedAttempt | None:
    return task.attempt or (task.history[-1] if task.history else None)


def _milliseconds(start: datetime, end: datetime) -> int:
    return max(0, round((end - start).total_seconds() * 1000))


def _positions(closed: ClosedAttempt) -> Positions:
    return Positions(closed.log_offset, closed.items_offset, closed.items_count)
