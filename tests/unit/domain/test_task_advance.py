"""What each event does to a task, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from silkmill.domain.attempt import Positions
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
from silkmill.domain.outcome import ErrorClass, Verdict
from silkmill.domain.states import TRANSITIONS, Move, Phase, Row, State
from silkmill.domain.statistics import Statistics
from silkmill.domain.task import MAX_HISTORY, Task, advance, appended, check_writer, request_cancel
from support.task_values import ENDED_WELL, EVENTS, EXIT_3, LATER, LOST, NOW, a_task, a_task_in

TOLD = Statistics(progress=0.5, errors=2, log_lines=9, rss_bytes=1 << 20, cpu_seconds=0.25)

OPEN_ROWS = [row for row in TRANSITIONS if row[1] is not None]
ACCEPTED_ROWS = [row for row in OPEN_ROWS if row[1] is not Phase.OFFERED]


def row_name(row: object) -> str:
    return "/".join(str(part) for part in row if part) if isinstance(row, tuple) else str(row)


@pytest.mark.parametrize("move", Move)
@pytest.mark.parametrize("row", TRANSITIONS, ids=row_name)
def test_an_event_is_applied_where_the_table_allows_it_and_refused_elsewhere(row: Row, move: Move) -> None:
    task = a_task_in(row)
    if move in TRANSITIONS[row]:
        assert advance(task, EVENTS[move]).row in TRANSITIONS[row][move]
    else:
        with pytest.raises(IllegalTransition, match=move):
            advance(task, EVENTS[move])


def test_release_makes_it_eligible() -> None:
    task = a_task(state=State.CREATED, reason="exit code 3", next_attempt_at=LATER)
    released = advance(task, Release())
    assert (released.state, released.reason, released.next_attempt_at) == (State.PENDING, None, None)


def test_hold_stores_why_and_how_long() -> None:
    held = advance(a_task(), Hold("overlap", LATER))
    assert (held.state, held.reason, held.next_attempt_at) == (State.CREATED, "overlap", LATER)


def test_assign_opens_an_attempt_with_the_next_number_and_empty_streams() -> None:
    task = a_task(last_number=4, reason="withdrawn", positions=Positions(7, 7, 7))
    assigned = advance(task, Assign("node-1", "session-1", NOW))
    assert assigned.attempt is not None
    assert (assigned.attempt.number, assigned.last_number) == (5, 5)
    assert (assigned.attempt.node, assigned.attempt.session) == ("node-1", "session-1")
    assert assigned.positions == Positions()
    assert assigned.reason is None
    assert assigned.state is State.PENDING


def test_start_marks_the_first_start_of_the_task() -> None:
    first = advance(a_task_in((State.PENDING, Phase.PREPARING)), Start(99, NOW))
    assert first.attempt is not None
    assert (first.attempt.pid, first.attempt.started_at, first.started_at) == (99, NOW, NOW)


def test_start_of_a_later_attempt_keeps_when_the_task_started() -> None:
    earlier = NOW - timedelta(hours=1)
    task = advance(a_task(started_at=earlier), Assign("node-1", "session-1", NOW))
    assert advance(advance(task, Accept()), Start(99, NOW)).started_at == earlier


def test_lose_keeps_the_attempt_open_without_a_session() -> None:
    lost = advance(a_task_in((State.RUNNING, Phase.EXECUTING)), Lose("silent"))
    assert lost.attempt is not None
    assert (lost.attempt.session, lost.attempt.phase, lost.attempt.number) == (None, Phase.EXECUTING, 3)
    assert (lost.state, lost.reason) == (State.ABNORMAL, "silent")
    assert lost.positions == Positions(100, 50, 5)


@pytest.mark.parametrize("row", ACCEPTED_ROWS, ids=row_name)
@pytest.mark.parametrize(
    ("phase", "state"),
    [
        (Phase.PREPARING, State.PENDING),
        (Phase.EXECUTING, State.RUNNING),
        (Phase.COMPLETING, State.RUNNING),
    ],
)
def test_adopt_goes_on_in_the_reported_phase(row: Row, phase: Phase, state: State) -> None:
    adopted = advance(a_task_in(row), Adopt("session-2", phase, 4711, NOW))
    assert adopted.row == (state, phase)
    assert adopted.attempt is not None
    assert (adopted.attempt.session, adopted.attempt.number) == ("session-2", 3)
    assert adopted.positions == Positions(100, 50, 5)
    assert adopted.reason is None


def test_an_offer_cannot_be_adopted_into() -> None:
    with pytest.raises(IllegalTransition):
        advance(a_task_in((State.RUNNING, Phase.EXECUTING)), Adopt("session-2", Phase.OFFERED))


@pytest.mark.parametrize("state", [State.CREATED, State.PENDING])
def test_a_node_that_comes_back_after_the_attempt_closed_adopts_nothing(state: State) -> None:
    with pytest.raises(IllegalTransition):
        advance(a_task_in((state, None)), Adopt("session-2", Phase.EXECUTING))


def test_finish_closes_the_attempt_as_the_accepted_one() -> None:
    ended = advance(a_task_in((State.RUNNING, Phase.COMPLETING)), Finish(ENDED_WELL, LATER))
    assert ended.attempt is None
    (closed,) = ended.history
    assert (closed.accepted, closed.counted, closed.outcome, closed.exit_code) == (True, True, "exit", 0)
    assert (closed.log_offset, closed.items_offset, closed.items_count) == (100, 50, 5)
    assert (ended.state, ended.finished_at, ended.exit_code) == (State.FINISHED, LATER, 0)
    assert (ended.error_class, ended.reason) == (None, None)
    assert ended.counted_attempts == 2


def test_fail_says_why_on_the_task() -> None:
    ended = advance(a_task_in((State.RUNNING, Phase.COMPLETING)), Fail(EXIT_3, LATER))
    assert (ended.state, ended.error_class, ended.exit_code) == (State.ERROR, ErrorClass.SPIDER, 3)
    assert (ended.reason, ended.traceback) == ("exit code 3", "Traceback…")
    assert ended.history[0].accepted


def test_retry_counts_the_attempt_and_waits() -> None:
    due = LATER + timedelta(seconds=10)
    waiting = advance(a_task_in((State.RUNNING, Phase.COMPLETING)), Retry(EXIT_3, LATER, due))
    assert (waiting.state, waiting.next_attempt_at, waiting.reason) == (State.CREATED, due, "exit code 3")
    assert (waiting.counted_attempts, waiting.lost_attempts) == (2, 0)
    assert waiting.finished_at is None
    assert not waiting.history[0].accepted
    assert waiting.history[0].counted


def test_a_drained_attempt_counts_for_nothing_and_is_kept_in_history() -> None:
    back = advance(a_task_in((State.RUNNING, Phase.EXECUTING)), GiveBack("drain", LATER))
    assert (back.state, back.reason, back.next_attempt_at) == (State.PENDING, "drain", None)
    assert (back.counted_attempts, back.lost_attempts) == (1, 0)
    assert (back.history[0].outcome, back.history[0].counted) == ("given_back", False)
    assert back.history[0].error_class is None


def test_an_attempt_lost_with_its_worker_counts_apart() -> None:
    back = advance(a_task_in((State.ABNORMAL, Phase.EXECUTING)), GiveBack("lost", LATER, lost=True))
    assert (back.counted_attempts, back.lost_attempts) == (1, 1)
    assert (back.history[0].outcome, back.history[0].counted) == ("lost", False)
    assert back.history[0].error_class == ErrorClass.SYSTEM  # as one that was lost with its runner


def test_poison_counts_the_last_worker_too() -> None:
    ended = advance(a_task_in((State.ABNORMAL, Phase.EXECUTING)), Fail(LOST, LATER))
    assert (ended.lost_attempts, ended.counted_attempts) == (1, 1)
    assert not ended.history[0].counted


def test_a_lost_runner_under_a_living_agent_counts_as_an_attempt() -> None:
    lost_runner = Verdict("lost", "lost: its runner died", ErrorClass.SYSTEM)
    ended = advance(a_task_in((State.ABNORMAL, Phase.EXECUTING)), Fail(lost_runner, LATER))
    assert (ended.counted_attempts, ended.lost_attempts) == (2, 0)


@pytest.mark.parametrize(
    "event", [GiveBack("not taken", LATER), Cancel("x", LATER), Fail(EXIT_3, LATER)], ids=lambda e: e.move
)
def test_a_withdrawn_offer_leaves_no_trace_but_its_number(event: Event) -> None:
    task = a_task_in((State.PENDING, Phase.OFFERED))
    withdrawn = advance(task, event)
    assert withdrawn.attempt is None
    assert withdrawn.history == ()
    assert (withdrawn.counted_attempts, withdrawn.lost_attempts, withdrawn.last_number) == (1, 0, 3)


def test_a_withdrawn_number_is_never_used_again() -> None:
    task = advance(a_task_in((State.PENDING, Phase.OFFERED)), GiveBack("not taken", LATER))
    again = advance(task, Assign("node-1", "session-1", LATER))
    assert again.attempt is not None
    assert again.attempt.number == 4


def test_cancel_keeps_how_the_attempt_itself_ended() -> None:
    network = Verdict("exit", "exit code 1: ConnectionError", ErrorClass.NETWORK, exit_code=1)
    ended = advance(a_task_in((State.RUNNING, Phase.COMPLETING)), Cancel("by ann", LATER, network))
    assert (ended.state, ended.reason, ended.error_class) == (State.CANCELLED, "by ann", ErrorClass.CANCELLED)
    assert (ended.history[0].outcome, ended.history[0].error_class) == ("exit", "network")


@pytest.mark.parametrize(
    "event",
    [
        Finish(replace(ENDED_WELL, statistics=TOLD), LATER),
        Retry(replace(EXIT_3, statistics=TOLD), LATER, LATER),
        Fail(replace(EXIT_3, statistics=TOLD), LATER),
        Cancel("x", LATER, replace(EXIT_3, statistics=TOLD)),
        GiveBack("lost", LATER, lost=True, statistics=TOLD),
    ],
    ids=lambda event: event.move,
)
def test_a_closed_attempt_keeps_what_it_told_and_used(event: Event) -> None:
    ended = advance(a_task_in((State.RUNNING, Phase.COMPLETING)), event)
    assert ended.history[0].statistics == TOLD


def test_cancel_of_a_task_that_never_started_has_no_history() -> None:
    ended = advance(a_task(), Cancel("by ann", LATER))
    assert (ended.state, ended.reason, ended.finished_at) == (State.CANCELLED, "by ann", LATER)
    assert ended.history == ()


def test_history_keeps_the_newest_hundred() -> None:
    task = a_task()
    for _ in range(MAX_HISTORY + 7):
        task = advance(task, Assign("node-1", "session-1", NOW))
        task = advance(advance(task, Accept()), GiveBack("drain", LATER))
    assert len(task.history) == 100
    assert [closed.number for closed in task.history] == list(range(8, 108))


def test_the_fence_lets_the_open_attempt_of_its_session_through() -> None:
    task = a_task_in((State.RUNNING, Phase.EXECUTING))
    assert task.ref is not None
    assert check_writer(task, task.ref, "session-1") is task


def test_the_fence_refuses_another_number_and_another_session() -> None:
    running = a_task_in((State.RUNNING, Phase.EXECUTING))
    ref = running.ref
    assert ref is not None
    closed = advance(running, Retry(EXIT_3, LATER, LATER))
    newer = advance(advance(closed, Release()), Assign("node-1", "session-1", LATER))
    for task in (None, closed, newer):
        with pytest.raises(StaleAttempt):
            check_writer(task, ref, "session-1")
    with pytest.raises(StaleSession):
        check_writer(running, ref, "session-2")
    with pytest.raises(StaleSession):
        check_writer(advance(running, Lose("silent")), ref, "session-1")


@pytest.mark.parametrize(
    ("stored", "offset", "length", "repeat"),
    [(10, 10, 5, False), (10, 10, 0, True), (10, 5, 5, True), (10, 0, 10, True), (0, 0, 0, True)],
)
def test_an_append_is_new_at_the_end_and_a_repeat_before_it(
    stored: int, offset: int, length: int, repeat: bool
) -> None:
    assert appended(stored, offset, length) is repeat


@pytest.mark.parametrize(("offset", "length"), [(11, 1), (5, 6), (11, 0)])
def test_a_gap_or_a_partial_overlap_names_the_expected_offset(offset: int, length: int) -> None:
    with pytest.raises(OffsetMismatch) as refusal:
        appended(10, offset, length)
    assert refusal.value.expected == 10


def test_a_wish_to_cancel_changes_no_state_and_is_only_ever_strengthened() -> None:
    task = a_task_in((State.RUNNING, Phase.EXECUTING))
    wished = request_cancel(task, force=True, reason="by ann")
    again = request_cancel(wished, force=False, reason="by bob")
    assert (wished.row, wished.reason) == (task.row, None)
    assert (again.cancel_forced, again.cancel_reason) == (True, "by ann")


def test_a_cancel_of_a_lost_attempt_shows_that_it_is_not_verified() -> None:
    lost = a_task_in((State.ABNORMAL, Phase.EXECUTING))
    assert request_cancel(lost, force=False, reason="by ann").reason == "cancel not verified"


def _unchanged(task: Task) -> tuple[object, ...]:
    return task.id, task.project, task.spider, task.version, task.created_at, task.order, task.params


@pytest.mark.parametrize("row", OPEN_ROWS, ids=row_name)
def test_what_was_asked_for_never_changes(row: Row) -> None:
    task = a_task_in(row)
    for move in TRANSITIONS[row]:
        assert _unchanged(advance(task, EVENTS[move])) == _unchanged(task)


def test_exit_only_moves_the_phase() -> None:
    task = a_task_in((State.RUNNING, Phase.EXECUTING))
    exited = advance(task, Exit())
    assert exited.row == (State.RUNNING, Phase.COMPLETING)
    assert exited.positions == task.positions
