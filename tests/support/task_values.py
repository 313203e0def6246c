"""Tasks as values for the tests: one in every row of the transition table, one event of every kind."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from silkmill.domain.attempt import Attempt, Positions
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
from silkmill.domain.outcome import ErrorClass, Verdict
from silkmill.domain.states import Move, Phase, Row, State
from silkmill.domain.task import Task

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(seconds=30)
ENDED_WELL = Verdict("exit", exit_code=0)
EXIT_3 = Verdict("exit", "exit code 3", ErrorClass.SPIDER, exit_code=3, traceback="Traceback…")
LOST = Verdict("lost", "lost: its worker died", ErrorClass.SYSTEM, lost_with_worker=True)

EVENTS: dict[Move, Event] = {
    Move.RELEASE: Release(),
    Move.HOLD: Hold("overlap", LATER),
    Move.ASSIGN: Assign("node-1", "session-1", NOW),
    Move.ACCEPT: Accept(),
    Move.START: Start(4711, NOW),
    Move.EXIT: Exit(),
    Move.FINISH: Finish(ENDED_WELL, LATER),
    Move.RETRY: Retry(EXIT_3, LATER, LATER + timedelta(seconds=10)),
    Move.FAIL: Fail(EXIT_3, LATER),
    Move.CANCEL: Cancel("cancelled on request", LATER),
    Move.LOSE: Lose("lost: its session is over"),
    Move.ADOPT: Adopt("session-2", Phase.EXECUTING),
    Move.GIVE_BACK: GiveBack("drain", LATER),
}


def a_task(**given: object) -> Task:
    values = {
        "id": "01900000-0000-7000-8000-000000000001",
        "project": "default",
        "spider": "news",
        "version": "v1",
        "created_at": NOW,
        "order": 1,
    }
    return Task(**values | given)  # type: ignore[arg-type]


def a_task_in(row: Row) -> Task:
    """A task in that row, with attempt number 3 and some bytes of its streams where an attempt is open."""
    state, phase = row
    task = a_task(state=state, last_number=2 if phase is None else 3, counted_attempts=1)
    if phase is None:
        return task
    session = None if state is State.ABNORMAL else "session-1"
    started = None if phase in (Phase.OFFERED, Phase.PREPARING) else NOW
    attempt = Attempt(3, "node-1", session, phase, NOW, started_at=started, pid=4711 if started else None)
    return replace(task, attempt=attempt, positions=Positions(100, 50, 5), started_at=started)
