"""A node registers: which of its attempts go on under the new session, and what becomes of the others."""

from __future__ import annotations

from datetime import datetime

from silkmill.domain.events import Adopt, GiveBack, Lose
from silkmill.domain.node import Node
from silkmill.domain.outcome import ErrorClass, Verdict
from silkmill.domain.retry import decide_lost_with_worker
from silkmill.domain.states import Phase, State
from silkmill.domain.task import Task, advance
from silkmill.ports.link import Held


def settle(task: Task, node: Node, held: Held | None, now: datetime, *, rebooted: bool) -> Task | None:
    """The open attempt of a node that has just registered, perhaps under another id; None: nothing changes.

    What the node still holds is adopted. An offer is withdrawn: nothing was started for it. The rest went
    with the worker, and is given back without waiting."""
    attempt = task.attempt
    if attempt is None:
        return None
    if attempt.phase is Phase.OFFERED:
        return advance(task, GiveBack("withdrawn: its node registered anew", now))
    if held is not None and held.phase is not Phase.OFFERED:
        return advance(task, Adopt(node.session, held.phase, held.pid, held.started_at, node.id))
    # Its directory is made before its process: without one, a process exists only if the record says so.
    verified = rebooted or attempt.phase is Phase.PREPARING
    return lose_with_worker(task, f"lost: node {attempt.node} came back without it", now, verified=verified)


def lose_with_worker(task: Task, reason: str, now: datetime, *, verified: bool) -> Task | None:
    """LOSE and what follows it, in one step; None when a cancel must go on waiting for proof."""
    verdict = Verdict("lost", reason, ErrorClass.SYSTEM, lost_with_worker=True)
    event = decide_lost_with_worker(task, verdict, now, verified=verified)
    if isinstance(event, Lose):
        return None if task.state is State.ABNORMAL else advance(task, event)
    lost = task if task.state is State.ABNORMAL else advance(task, Lose(reason))
    return advance(lost, event)
