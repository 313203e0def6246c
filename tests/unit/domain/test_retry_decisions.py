"""What follows the end of an attempt."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from silkmill.domain.events import Cancel, Event, Fail, Finish, GiveBack, Lose, Retry
from silkmill.domain.outcome import ErrorClass, Facts, Rules, Verdict, classify
from silkmill.domain.retry import RetryPolicy, backoff_seconds, decide_end, decide_lost_with_worker
from silkmill.domain.states import Phase, State
from silkmill.domain.task import Task, request_cancel
from support.task_values import ENDED_WELL, LOST, NOW, a_task_in

EXIT_0: dict[str, Any] = {"started": True, "exit_code": 0}
EXIT_1: dict[str, Any] = {"started": True, "exit_code": 1}
REFUSED = EXIT_1 | {
    "traceback": "Traceback (most recent call last):\n  x\nConnectionRefusedError: refused",
    "traceback_ends_stderr": True,
}


def running(counted: int = 0, lost: int = 0, *, cancel: bool = False) -> Task:
    task = a_task_in((State.RUNNING, Phase.COMPLETING))
    task = request_cancel(task, force=False, reason="by ann") if cancel else task
    return replace(task, counted_attempts=counted, lost_attempts=lost)


def end(task: Task, policy: RetryPolicy | None = None, **given: Any) -> Event:
    facts = Facts(ended_at=NOW, **given)
    return decide_end(task, facts, classify(facts, Rules()), policy or RetryPolicy(), NOW, 0.0)


def test_a_good_end_finishes() -> None:
    assert end(running(), **EXIT_0) == Finish(ENDED_WELL, NOW)


def test_a_spider_error_is_not_retried_by_default() -> None:
    assert isinstance(end(running(), **EXIT_1), Fail)


def test_network_and_system_are_retried_three_times_in_all() -> None:
    for facts in (REFUSED, {"lost": True}):
        assert [type(end(running(counted), **facts)) for counted in range(4)] == [Retry, Retry, Fail, Fail]


def test_a_policy_may_retry_spider_errors_and_limits() -> None:
    policy = RetryPolicy(max_attempts=2, on=("spider", "limit"))
    assert isinstance(end(running(0), policy, **EXIT_1), Retry)
    assert isinstance(end(running(0), policy, started=True, signal=9, limit="runtime"), Retry)
    assert isinstance(end(running(1), policy, **EXIT_1), Fail)
    assert isinstance(end(running(0), policy, **REFUSED), Fail)


def test_permanent_outcomes_are_never_retried() -> None:
    assert isinstance(end(running(), preparation_error="bad lock file", preparation_permanent=True), Fail)
    assert isinstance(end(running(), preparation_error="no space", preparation_permanent=False), Retry)


def test_the_back_off_doubles_to_its_cap_and_jitter_takes_up_to_half() -> None:
    policy = RetryPolicy(backoff_seconds=10, backoff_max_seconds=60)
    assert [backoff_seconds(n, policy, 0.0) for n in range(5)] == [10, 20, 40, 60, 60]
    assert backoff_seconds(0, policy, 0.5) == 7.5
    assert backoff_seconds(10_000, policy, 0.999) > 29
    retry = end(running(1), policy, **REFUSED)
    assert isinstance(retry, Retry)
    assert retry.next_attempt_at == NOW + timedelta(seconds=20)


def test_lost_workers_count_apart_and_the_third_is_poison() -> None:
    for lost in (0, 1):
        assert end(running(counted=9, lost=lost), lost_with_worker=True) == GiveBack(
            "lost: its worker died", NOW, lost=True
        )
    poison = end(running(lost=2), lost_with_worker=True)
    assert isinstance(poison, Fail)
    assert (poison.verdict.error_class, poison.verdict.permanent) == (ErrorClass.SYSTEM, True)
    assert poison.verdict.reason == "poison: 3 workers were lost with it"


class TestCancelRequested:
    def test_a_true_good_end_stands(self) -> None:
        assert isinstance(end(running(cancel=True), **EXIT_0), Finish)

    def test_a_true_failure_stands(self) -> None:
        assert isinstance(end(running(cancel=True), **EXIT_1), Fail)

    def test_stopped_by_it_is_cancelled_with_its_reason(self) -> None:
        event = end(running(cancel=True), started=True, signal=15, cancelled=True)
        assert isinstance(event, Cancel)
        assert event.reason == "by ann"

    def test_no_new_attempt_is_made(self) -> None:
        for facts in (REFUSED, {"lost": True}, {"lost_with_worker": True}):
            assert isinstance(end(running(cancel=True), **facts), Cancel)

    def test_a_lost_runner_on_the_last_attempt_is_cancelled_too(self) -> None:
        assert isinstance(end(running(counted=2, cancel=True), lost=True), Cancel)

    @pytest.mark.parametrize(
        "facts",
        [
            {"started": True, "signal": 15, "cancelled": True},
            REFUSED,
            {"lost": True},
            {"lost_with_worker": True},
        ],
    )
    def test_without_proof_it_is_not_a_cancel(self, facts: dict[str, Any]) -> None:
        assert end(running(cancel=True), verified=False, **facts) == Lose("cancel not verified")


def test_an_attempt_that_went_with_its_worker() -> None:
    assert decide_lost_with_worker(running(), LOST, NOW, verified=False) == GiveBack(
        "lost: its worker died", NOW, lost=True
    )
    cancelled = decide_lost_with_worker(running(cancel=True), LOST, NOW, verified=True)
    assert isinstance(cancelled, Cancel)
    unproven = decide_lost_with_worker(running(cancel=True), LOST, NOW, verified=False)
    assert unproven == Lose("cancel not verified")


def test_a_verdict_of_cancel_without_a_recorded_wish_is_a_cancel() -> None:
    task, facts = running(), Facts(ended_at=NOW, cancelled=True)
    verdict = Verdict("cancelled", "cancelled", ErrorClass.CANCELLED)
    assert isinstance(decide_end(task, facts, verdict, RetryPolicy(), NOW, 0.0), Cancel)
