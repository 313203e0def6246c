"""Whatever events come in whatever order, a task keeps its promises."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from silkmill.domain.errors import IllegalTransition
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
from silkmill.domain.states import TRANSITIONS, Phase, State
from silkmill.domain.task import MAX_HISTORY, Task, advance, request_cancel
from support.task_values import ENDED_WELL, EXIT_3, LATER, LOST, NOW, a_task

sessions = st.sampled_from(["s1", "s2"])
events: st.SearchStrategy[Event] = st.one_of(
    st.just(Release()),
    st.just(Hold("held", None)),
    st.builds(Assign, st.sampled_from(["n1", "n2"]), sessions, st.just(NOW)),
    st.just(Accept()),
    st.just(Start(1, NOW)),
    st.just(Exit()),
    st.just(Finish(ENDED_WELL, LATER)),
    st.just(Retry(EXIT_3, LATER, LATER)),
    st.builds(Fail, st.sampled_from([EXIT_3, LOST]), st.just(LATER)),
    st.just(Cancel("by ann", LATER)),
    st.just(Lose("silent")),
    st.builds(Adopt, sessions, st.sampled_from(Phase)),
    st.builds(GiveBack, st.just("back"), st.just(LATER), st.booleans()),
)
# Ends are rare, so that most sequences are long.
common = st.one_of(events, events.filter(lambda event: not isinstance(event, Fail | Cancel | Finish)))


def check(before: Task, event: Event, after: Task) -> None:
    assert after.row in TRANSITIONS
    assert not before.state.final
    assert before.last_number <= after.last_number <= before.last_number + 1
    assert len(after.history) <= MAX_HISTORY
    numbers = [closed.number for closed in after.history]
    assert numbers == sorted(set(numbers))
    assert after.counted_attempts >= before.counted_attempts
    assert after.lost_attempts >= before.lost_attempts
    if after.attempt is None:
        assert after.state is not State.RUNNING
        assert after.state is not State.ABNORMAL
    else:
        assert after.attempt.number == after.last_number
        assert not numbers or numbers[-1] < after.attempt.number
        assert (after.attempt.session is None) == (after.state is State.ABNORMAL)
    if after.state.final:
        assert after.attempt is None
        assert after.finished_at is not None
        assert sum(closed.accepted for closed in after.history) <= 1
        assert (after.state is State.FINISHED) == (after.error_class is None)
    else:
        assert not any(closed.accepted for closed in after.history)
        assert after.finished_at is None


@given(st.lists(common, max_size=60))
def test_any_sequence_of_events_keeps_the_invariants(sequence: list[Event]) -> None:
    task = a_task()
    for event in sequence:
        try:
            after = advance(task, event)
        except IllegalTransition:
            assert event.move not in TRANSITIONS[task.row] or isinstance(event, Adopt)
            continue
        check(task, event, after)
        task = after


@given(st.lists(common, max_size=40), st.booleans())
def test_a_wish_to_cancel_survives_every_event(sequence: list[Event], force: bool) -> None:
    task = request_cancel(a_task(), force=force, reason="by ann")
    for event in sequence:
        try:
            task = advance(task, event)
        except IllegalTransition:
            continue
        assert (task.cancel_requested, task.cancel_forced, task.cancel_reason) == (True, force, "by ann")
