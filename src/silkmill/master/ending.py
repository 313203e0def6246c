"""How an attempt's Finish changes its task, as pure decisions."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from silkmill.domain.attempt import AttemptRef
from silkmill.domain.events import Cancel, Exit, GiveBack, Lose, Start
from silkmill.domain.outcome import CANCEL_NOT_VERIFIED, Facts, classify
from silkmill.domain.retry import decide_end
from silkmill.domain.spider import SpiderConfig
from silkmill.domain.states import Phase, State
from silkmill.domain.task import Task, advance, with_closed


def ending(task: Task, facts: Facts, config: SpiderConfig, now: datetime, jitter: float) -> Task | None:
    """The task after its open attempt has ended as `facts` say, with the steps that were not recorded yet.

    None: a lost attempt whose cancel must go on waiting for proof."""
    verdict = classify(facts, config.outcome)
    event = decide_end(task, facts, verdict, config.retry, now, jitter)
    if task.state is State.ABNORMAL:
        return None if isinstance(event, Lose) else _with_log(advance(task, event), facts)
    return advance(_caught_up(task, facts, now), event)


def _with_log(task: Task, facts: Facts) -> Task:
    """Who finishes a lost attempt has written its closing line, where something could be written."""
    return with_closed(task, replace(task.history[-1], log_closed=facts.log_closed))


def let_go(task: Task, reason: str, now: datetime) -> Task:
    """The task after its open attempt, which has no process and counts for nothing.

    A cancel forbids that it waits for another one."""
    if task.cancel_requested:
        return advance(task, Cancel(task.cancel_reason or "cancelled", now))
    return advance(task, GiveBack(reason, now))


def lost(task: Task, facts: Facts, now: datetime) -> Task:
    """A lost attempt is seen as `abnormal` before it is decided what follows."""
    unproven = task.cancel_requested and not facts.verified
    reason = CANCEL_NOT_VERIFIED if unproven else "lost: its runner died"
    return advance(_caught_up(task, facts, now), Lose(reason))


def shows_end(task: Task, ref: AttemptRef, facts: Facts, config: SpiderConfig) -> bool:
    """Whether an earlier Finish with these facts took effect: its answer was lost."""
    if task.ref == ref:
        return task.state is State.ABNORMAL and task.reason == CANCEL_NOT_VERIFIED and not facts.verified
    outcome = classify(facts, config.outcome).outcome
    return any(
        closed.number == ref.number
        and (closed.outcome, closed.exit_code, closed.signal) == (outcome, facts.exit_code, facts.signal)
        and (closed.log_offset, closed.items_count) == (facts.log_size, facts.items_count)
        for closed in task.history
    )


def _caught_up(task: Task, facts: Facts, now: datetime) -> Task:
    """START and EXIT are folded into the Finish that came before them."""
    if task.row[1] is Phase.PREPARING and facts.started:
        task = advance(task, Start(facts.pid or 0, facts.started_at or now))
    if task.row[1] is Phase.EXECUTING:
        task = advance(task, Exit())
    return task
