"""Why a task is where it is: what it waits for, in words and as a code. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import assert_never

from silkmill.domain.attempt import Attempt
from silkmill.domain.node import Node
from silkmill.domain.outcome import CANCEL_NOT_VERIFIED
from silkmill.domain.placement import ANYWHERE
from silkmill.domain.states import Phase, State
from silkmill.domain.task import Task
from silkmill.master.deadlines import ABNORMAL_SECONDS, OFFERED_SECONDS

NAMED_HOLDERS = 5


@dataclass(frozen=True, slots=True)
class Around:
    """What a task waits among: connected nodes, free slots of those that may run it, pending tasks before it.

    `for_others`: the engine is one that does not take this task. `full`: whose limits are reached, its
    spider's or its project's; `holders`: ids of the tasks that count for the first of them. `preparing`: what
    its node tells of it."""

    nodes: tuple[Node, ...] = ()
    free_slots: int = 0
    earlier: int = 0
    full: tuple[str, ...] = ()
    holders: tuple[str, ...] = ()
    draining: bool = False
    for_others: bool = False
    preparing: str | None = None


class WaitsFor(StrEnum):
    """What stands between a task and its next step."""

    NOTHING = "nothing"
    TIME = "time"
    TASK = "task"
    NODE = "node"
    PLACEMENT = "placement"
    ENGINE = "engine"
    PERMIT = "permit"
    SLOT = "slot"
    DISPATCH = "dispatch"
    ACCEPT = "accept"
    PREPARATION = "preparation"
    SPIDER = "spider"
    STREAMS = "streams"
    CANCEL = "cancel"
    PROOF = "proof"
    RECOVERY = "recovery"


@dataclass(frozen=True, slots=True)
class Why:
    """`until`: when the wait ends by itself, if that is known."""

    waits_for: WaitsFor
    text: str
    until: datetime | None = None


def why(task: Task, around: Around) -> Why:
    """The one thing that a task waits for now."""
    if task.state.final:
        return Why(WaitsFor.NOTHING, _ended(task))
    if task.state is State.CREATED:
        return _created(task)
    if task.attempt is None:
        return _pending(task, around)
    if task.state is State.ABNORMAL:
        return _abnormal(task, task.attempt)
    return _open(task, task.attempt, _name(task.attempt, around), around.preparing)


def _ended(task: Task) -> str:
    reason = f": {task.reason}" if task.reason else ""
    kind = f" ({task.error_class})" if task.state is State.ERROR and task.error_class else ""
    return f"it has ended {task.state}{kind}{reason}"


def _created(task: Task) -> Why:
    if task.after is not None:
        return Why(
            WaitsFor.TASK, f"it waits for the end of task {task.after}, an earlier firing of {task.schedule}"
        )
    attempts = f"after {task.counted_attempts} attempts" if task.counted_attempts > 1 else "after an attempt"
    cause = f" {attempts}; the last one: {task.reason}" if task.reason and task.counted_attempts else ""
    if task.next_attempt_at is None:
        return Why(WaitsFor.TIME, f"it is held back: {task.reason or 'no time is set'}")
    at = task.next_attempt_at.isoformat(timespec="seconds")
    return Why(WaitsFor.TIME, f"it waits until {at}{cause}", task.next_attempt_at)


def _pending(task: Task, around: Around) -> Why:
    before = f" (the last attempt: {task.reason})" if task.reason else ""
    if not around.nodes:
        return Why(WaitsFor.NODE, f"no node is connected; start `silkmill up` or a worker{before}")
    if around.for_others:
        return Why(
            WaitsFor.ENGINE,
            "the engine here belongs to a `silkmill run`, which runs its own tasks only; "
            f"start `silkmill up` when it has ended{before}",
        )
    if around.draining:
        return Why(
            WaitsFor.ENGINE,
            f"the engine is draining and takes no new work; the next `silkmill up` does{before}",
        )
    placement = task.placement or ANYWHERE
    if not any(map(placement.allows, around.nodes)):
        return Why(WaitsFor.PLACEMENT, f"no connected node {placement.words}{before}")
    if around.full:
        return Why(WaitsFor.PERMIT, _full(around.full[0], around.holders) + before)
    if around.free_slots == 0:
        return Why(WaitsFor.SLOT, f"every slot is taken; {around.earlier} tasks are before it{before}")
    if around.earlier:
        return Why(WaitsFor.DISPATCH, f"{around.earlier} tasks are before it{before}")
    return Why(WaitsFor.DISPATCH, f"a slot is free; it is about to be offered{before}")


def _full(owner: str, holders: tuple[str, ...]) -> str:
    who = "spider" if "/" in owner else "project"
    named = ", ".join(holders[:NAMED_HOLDERS])
    more = f" and {len(holders) - NAMED_HOLDERS} more" if len(holders) > NAMED_HOLDERS else ""
    return f"no more tasks of the {who} {owner} may run at once; those that do: {named}{more}"


def _abnormal(task: Task, attempt: Attempt) -> Why:
    if task.cancel_requested or task.reason == CANCEL_NOT_VERIFIED:
        return Why(
            WaitsFor.PROOF,
            f"it was cancelled, but nothing proves that its processes on {attempt.node} are dead; "
            "it ends when the node comes back and proves it, or as an error after 24 h",
        )
    return Why(
        WaitsFor.RECOVERY,
        f"sight of it was lost ({task.reason}); it is given back after {ABNORMAL_SECONDS:g} s, "
        "unless its node comes back with it",
    )


def _open(task: Task, attempt: Attempt, node: str, preparing: str | None) -> Why:
    if task.cancel_requested and attempt.phase is not Phase.OFFERED:
        how = "at once" if task.cancel_forced else "with its graces"
        return Why(WaitsFor.CANCEL, f"it is being stopped on {node}, {how} ({task.cancel_reason})")
    match attempt.phase:
        case Phase.OFFERED:
            return Why(
                WaitsFor.ACCEPT, f"it is offered to {node}, which has {OFFERED_SECONDS:g} s to take it"
            )
        case Phase.PREPARING:
            told = f": {preparing}" if preparing else " its files and starts it"
            return Why(WaitsFor.PREPARATION, f"{node} prepares{told}")
        case Phase.EXECUTING:
            return Why(
                WaitsFor.SPIDER, f"its spider runs on {node} (attempt {attempt.number}, pid {attempt.pid})"
            )
        case Phase.COMPLETING:
            return Why(
                WaitsFor.STREAMS, f"its spider has ended on {node}; the rest of its log and items is stored"
            )
    assert_never(attempt.phase)


def _name(attempt: Attempt, around: Around) -> str:
    return next((node.name for node in around.nodes if node.id == attempt.node), attempt.node)
