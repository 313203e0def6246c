"""The numbers of a task that had several attempts: which attempt each of them is of."""

from __future__ import annotations

from datetime import timedelta

from tests.helpers import START, make_task

from silkmill.adapters.http.task_view import state_view, task_view
from silkmill.domain.events import Accept, Assign, Event, Exit, Finish, Release, Retry, Start
from silkmill.domain.outcome import ErrorClass, Verdict
from silkmill.domain.task import Task, advance

FAILED = Verdict("exit", "exit code 1", ErrorClass.NETWORK, exit_code=1)


def after(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def lived(task: Task, *events: Event) -> Task:
    for event in events:
        task = advance(task, event)
    return task


def test_start_end_and_run_time_are_of_the_same_attempt() -> None:
    begun = START + after(3600)
    task = make_task(created_at=begun)
    task = lived(task, Assign("n", "s", begun), Accept(), Start(1, begun + after(5)), Exit())
    waiting = lived(task, Retry(FAILED, begun + after(10), begun + after(20)))
    shown = task_view(waiting, begun + after(12))
    assert shown["started_at"] == begun + after(5)
    assert (shown["stats"]["wait_ms"], shown["stats"]["runtime_ms"]) == (5000, 5000)
    assert shown["next_attempt_at"] == state_view(waiting)["next_attempt_at"] == begun + after(20)

    prepared = lived(waiting, Release(), Assign("n", "s", begun + after(20)), Accept())
    shown = task_view(prepared, begun + after(21))
    assert (shown["attempt"], shown["started_at"], shown["stats"]["runtime_ms"]) == (2, None, None)
    assert shown["stats"]["wait_ms"] == 5000  # until it first ran

    ended = lived(
        prepared, Start(2, begun + after(30)), Exit(), Finish(Verdict("exit", None), begun + after(33))
    )
    shown = task_view(ended, begun + after(60))
    assert (shown["started_at"], shown["finished_at"]) == (begun + after(30), begun + after(33))
    assert (shown["stats"]["wait_ms"], shown["stats"]["runtime_ms"]) == (5000, 3000)
    assert shown["attempts"][0]["started_at"] == begun + after(5)
