"""What goes and what stays: by age, by number, by size; only of what has ended and is left in peace."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from tests.support.task_values import NOW, a_task

from silkmill.domain.attempt import ClosedAttempt
from silkmill.domain.retention import Policy, Surplus, after_losses, loses_itself, may_lose, surplus_of
from silkmill.domain.states import Phase, State
from silkmill.domain.task import SMALL_LOG_BYTES, Expiry, Task

DAY = timedelta(days=1)
NONE = Surplus()


def closed(**given: object) -> ClosedAttempt:
    values = dict.fromkeys(("error_class", "reason", "exit_code", "signal", "started_at")) | {
        "number": 1,
        "node": "n",
        "phase": Phase.COMPLETING,
        "outcome": "exit",
        "accepted": True,
        "counted": True,
        "finished_at": NOW,
        "log_offset": 100,
        "items_offset": 0,
        "items_count": 0,
    }
    return ClosedAttempt(**values | given)  # type: ignore[arg-type]


def ended(finished_at: datetime = NOW, **given: object) -> Task:
    values = {"state": State.FINISHED, "finished_at": finished_at, "history": (closed(),)}
    return a_task(**values | given)


@pytest.mark.parametrize(("age", "goes"), [(DAY, False), (DAY + timedelta(seconds=1), True)])
def test_a_task_goes_when_it_is_older_than_it_may_be(age: timedelta, goes: bool) -> None:
    assert loses_itself(ended(), NOW + age, Policy(tasks_for=DAY), NONE) is goes
    assert not loses_itself(ended(), NOW + age, Policy(), NONE)


@pytest.mark.parametrize("state", [state for state in State if not state.final])
def test_what_has_not_ended_loses_nothing(state: State) -> None:
    task = a_task(state=state)
    policy = Policy(DAY, 0, DAY, 0, DAY)
    assert not loses_itself(task, NOW + 9 * DAY, policy, Surplus(5, 5))
    assert after_losses(task, NOW + 9 * DAY, policy, Surplus(5, 5)) == Expiry()


def test_what_is_too_much_goes() -> None:
    policy = Policy(tasks=10, log_bytes=1000)
    assert surplus_of(policy, 12, 1500) == Surplus(2, 500)
    assert surplus_of(policy, 8, 500) == Surplus(-2, -500)
    assert surplus_of(Policy(), 8, 500) == NONE
    assert loses_itself(ended(), NOW, policy, Surplus(tasks=1))
    assert not loses_itself(ended(), NOW, policy, Surplus(tasks=-2))


def test_each_ended_task_that_is_passed_uses_the_surplus_up() -> None:
    """Whether it went or not: what is left of it says how far behind the newest ones the next task is."""
    assert Surplus(2, 500).past(ended()) == Surplus(1, 400)
    assert Surplus(2, 500).past(ended(expiry=Expiry(logs_at=NOW, erased=True))) == Surplus(1, 500)
    assert Surplus(2, 500).past(a_task(state=State.RUNNING, history=(closed(),))) == Surplus(2, 500)


def test_logs_and_items_go_apart() -> None:
    later = NOW + 2 * DAY
    only_logs = after_losses(ended(), later, Policy(logs_for=DAY), NONE)
    assert only_logs == Expiry(logs_at=later, erased=False)
    done = ended(expiry=Expiry(logs_at=NOW, erased=True))
    assert after_losses(done, later, Policy(logs_for=DAY), NONE) == done.expiry
    both = after_losses(done, later, Policy(logs_for=DAY, items_for=DAY), NONE)
    assert both == Expiry(NOW, later, erased=False)


def test_logs_go_by_size_where_there_are_any() -> None:
    too_much = Surplus(log_bytes=1)
    assert after_losses(ended(), NOW, Policy(log_bytes=1), too_much).logs_at == NOW
    for task in (ended(history=()), ended(expiry=Expiry(logs_at=NOW - DAY, erased=True))):
        assert after_losses(task, NOW, Policy(log_bytes=1), too_much) == task.expiry


@pytest.mark.parametrize(
    ("task", "left_in_peace"),
    [
        (ended(), True),
        (ended(history=(closed(log_offset=SMALL_LOG_BYTES),)), False),
        (ended(history=(closed(log_offset=SMALL_LOG_BYTES, merged_at=NOW),)), False),
        (ended(history=(closed(log_offset=SMALL_LOG_BYTES, merged_at=NOW, chunks_deleted=True),)), True),
        (ended(history=(closed(log_offset=SMALL_LOG_BYTES, log_damaged_at=NOW),)), True),
        (ended(group="g", created_at=NOW - timedelta(hours=24)), False),
        (ended(group="g", created_at=NOW - timedelta(hours=25)), True),
    ],
)
def test_it_waits_for_the_merging_of_logs_and_for_repeats_of_submissions(
    task: Task, left_in_peace: bool
) -> None:
    assert may_lose(task, NOW) is left_in_peace
