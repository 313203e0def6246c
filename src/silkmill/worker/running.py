"""The step from a prepared attempt to its facts: a runner executes it, what it says is shipped meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from dataclasses import replace

import structlog

from silkmill.domain.errors import StaleAttempt, StaleSession, Unavailable
from silkmill.domain.outcome import Facts
from silkmill.domain.states import Phase
from silkmill.ports.link import CancelOrder
from silkmill.runtime.loop import wait_set
from silkmill.worker.execution import End, Execution
from silkmill.worker.held import Ending, GivenBack, HeldAttempt
from silkmill.worker.lost import end_lost, has_begun
from silkmill.worker.runner import Runner
from silkmill.worker.runners import RunnerFailed

_log = structlog.get_logger(__name__)
_TRIES = 3
_RETIRING_SECONDS = 10.0
_REFUSED_SECONDS = 1.0


async def run(held: HeldAttempt) -> Ending:
    """Hand the attempt to a runner; again, if it had to go before it began. Raises Stopped, RunnerFailed."""
    failures = 0
    while failures < _TRIES:
        ending = await _run_once(held)
        if ending is not None:
            return ending
        failures += not _is_excused(held)
    why = held.execution.refusal or "it died before it began"
    raise RunnerFailed(held.slot.directory, RuntimeError(why))


def _is_excused(held: HeldAttempt) -> bool:
    """A runner that has retired, or waits for room on the disk, has not failed."""
    why = held.execution.refusal
    return why == "retiring" or os.strerror(errno.ENOSPC) in why or held.slot.left_cleanly()


async def _run_once(held: HeldAttempt) -> Ending | None:
    held.check_stop()
    runner = await held.slot.runner()
    held.check_stop()
    held.execution = Execution(str(held.directory), held.streams.grew)
    runner.run(held.execution)
    ending = await attend(held, started_known=False)
    if ending is None and held.execution.end is End.REFUSED:
        await _bear_refusal(held, runner)
    return ending


async def _bear_refusal(held: HeldAttempt, runner: Runner) -> None:
    """A runner that retires is replaced; one without room on its disk is asked again."""
    _log.info("the runner refused", attempt=str(held.ref), why=held.execution.refusal)
    retiring = held.execution.refusal == "retiring"
    await wait_set(runner.gone, _RETIRING_SECONDS if retiring else _REFUSED_SECONDS)


async def attend(held: HeldAttempt, *, started_known: bool) -> Ending | None:
    """Follow the execution to its end while what it says is shipped; None when it never began.

    `started_known`: the master has been told of the start. Raises StaleAttempt."""
    async with held.streams.shipping() as group:
        if started_known:
            held.streams.start()
        ending = await _follow(held, group, started_known)
        if not isinstance(ending, Facts):
            held.streams.stop()
    return counted(held, ending) if isinstance(ending, Facts) else ending


async def _follow(held: HeldAttempt, group: asyncio.TaskGroup, started_known: bool) -> Ending | None:
    execution = held.execution
    await execution.wait_begun()
    reporting: asyncio.Task[None] | None = None
    if execution.started and held.phase is Phase.PREPARING:
        held.phase = Phase.EXECUTING
    if execution.started and not started_known:
        reporting = group.create_task(_report_start(held))
    await execution.wait_ended()
    facts = held.outcome()
    if facts is None and (execution.started or has_begun(held.directory)):
        lost = await end_lost(held.ref, held.place, held.remains(), with_worker=False)
        facts = replace(lost, pid=execution.pid, started_at=execution.started_at)
    if facts is None:
        return None
    held.phase = Phase.COMPLETING if facts.started else held.phase
    _free_slot(held, group)
    if held.giving_back is not None and facts.cancelled and facts.verified:
        return GivenBack(held.giving_back)
    held.streams.end_at(facts)
    if facts.started and not held.streams.rest_is_small:
        if not execution.started and not started_known:  # the event was lost with a connection
            execution.has_started(facts.pid or 0, facts.started_at)
            reporting = group.create_task(_report_start(held))
        group.create_task(_report_exit(held, reporting))
    return facts


def counted(held: HeldAttempt, facts: Facts) -> Facts:
    """Only the shipped stream tells how many items a dead runner left."""
    if facts.lost or facts.lost_with_worker:
        return replace(facts, items_count=held.streams.stored.items_count)
    return facts


def _free_slot(held: HeldAttempt, group: asyncio.TaskGroup) -> None:
    """At once, and said at once: the next attempt need not wait until the streams are through."""
    held.leave_slot()
    group.create_task(_hint_slot_free(held))


async def _hint_slot_free(held: HeldAttempt) -> None:
    with contextlib.suppress(Unavailable, StaleSession, StaleAttempt):  # a hint; Finish says the same later
        await held.place.link.slot_free(held.place.session.id, held.ref)


async def _report_start(held: HeldAttempt) -> None:
    pid, at = held.execution.pid or 0, held.execution.started_at or held.place.clock.now()
    order: CancelOrder | None = await held.answered(
        lambda session: held.place.link.start(session, held.ref, pid, at)
    )
    if order is not None:
        held.cancel(force=order.force)


async def _report_exit(held: HeldAttempt, reporting: asyncio.Task[None] | None) -> None:
    if reporting is not None:
        await reporting
    await held.answered(lambda session: held.place.link.exit(session, held.ref))
