"""The last steps: finish or give back, then release; and the ends that no master asked for."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import NamedTuple, assert_never

import structlog

from silkmill.domain.errors import Incomplete, StaleAttempt
from silkmill.domain.outcome import ErrorClass, Facts, classify
from silkmill.protocol.attemptdir import append_log, count_log_lines, stream_size
from silkmill.protocol.logframe import system_line
from silkmill.runtime.loop import Backoff
from silkmill.worker.directories import keep
from silkmill.worker.disk import when_there_is_room
from silkmill.worker.execution import End
from silkmill.worker.held import Ending, GivenBack, HeldAttempt
from silkmill.worker.lost import end_tree_of
from silkmill.worker.prepare.errors import PreparationFailed
from silkmill.worker.trees import Remains, is_alive

_log = structlog.get_logger(__name__)
_LOOK_SECONDS = 5.0


async def conclude(held: HeldAttempt, ending: Ending) -> None:
    """Tell the master, then release what is left on this node. Raises StaleAttempt, MissingBytes."""
    match ending:
        case Facts():
            await _finish(held, ending)
            if not ending.verified:
                ending = await _finish_when_verified(held, ending)
            _release(held, failed=_has_failed(held, ending) or not ending.verified)
        case GivenBack(reason):
            await held.answered(lambda session: held.place.link.give_back(session, held.ref, reason))
            _release(held, failed=False)
        case _:
            assert_never(ending)


async def undone(held: HeldAttempt) -> Ending:
    """It was stopped before its spider was started."""
    if held.giving_back is not None:
        return GivenBack(held.giving_back)
    log = await _close_log(held, "cancelled before the start")
    facts = Facts(ended_at=held.place.clock.now(), cancelled=True, log_size=log.size, log_lines=log.lines)
    return await ship_rest(held, facts)


async def not_prepared(held: HeldAttempt, failure: PreparationFailed) -> Ending:
    log = await _close_log(held, f"not started: {failure}")
    facts = Facts(
        ended_at=held.place.clock.now(),
        preparation_error=str(failure),
        preparation_permanent=failure.permanent,
        log_size=log.size,
        log_lines=log.lines,
    )
    return await ship_rest(held, facts)


async def ship_rest(held: HeldAttempt, facts: Facts) -> Facts:
    """Ship what the files hold of an attempt that nobody executes (any more). Raises StaleAttempt."""
    held.leave_slot()
    held.streams.end_at(facts)
    await held.streams.ship()
    return facts


async def end_stale(held: HeldAttempt) -> None:
    """The master wants no more of it: kill it, keep its directory for a while."""
    _log.warning("the attempt is stale, killing it", attempt=str(held.ref), phase=held.phase)
    await _see_dead(held)
    held.leave_slot()
    keep(held.directory)


async def end_defective(held: HeldAttempt, error: Exception) -> None:
    """A defect of ours ends the attempt as a failure of the system, once; nothing is hidden."""
    try:
        await _see_dead(held)
        held.leave_slot()
        await _finish(held, _facts_of_defect(held, error))
    except StaleAttempt:
        _log.info("the defective attempt is stale", attempt=str(held.ref))
    except Exception:
        _log.exception("the defect could not be reported", attempt=str(held.ref))
    keep(held.directory)


def _facts_of_defect(held: HeldAttempt, error: Exception) -> Facts:
    stored = held.streams.stored
    first = _first_of(error)
    return Facts(
        ended_at=held.place.clock.now(),
        started_at=held.execution.started_at,
        started=held.execution.started,
        pid=held.execution.pid,
        preparation_error=f"agent error: {type(first).__name__}: {first}",
        log_size=stored.log_offset,
        items_size=stored.items_offset,
        items_count=stored.items_count,
    )


def _first_of(error: Exception) -> Exception:
    """What went wrong, out of the groups it may come in."""
    return _first_of(error.exceptions[0]) if isinstance(error, ExceptionGroup) else error


async def _finish(held: HeldAttempt, facts: Facts) -> None:
    backoff = Backoff()
    while True:
        try:
            await held.answered(lambda session: held.place.link.finish(session, held.ref, facts))
        except Incomplete as incomplete:
            _log.warning("not everything is stored, shipping again", cause=str(incomplete))
            await backoff.wait()
            await held.streams.recheck()
        else:
            return


async def _finish_when_verified(held: HeldAttempt, facts: Facts) -> Facts:
    """A process would not die. A cancel needs the proof that it has: look on, and then say so. There is none
    to come where the tree is out of sight.

    Any other end stands already, and the master answers that the attempt is closed: raises StaleAttempt."""
    while held.giving_back is None and not held.out_of_sight:
        await asyncio.sleep(_LOOK_SECONDS)
        end = await end_tree_of(held.ref, held.place, Remains(None, complete=True))
        if end.verified and not any(map(is_alive, facts.survivors)):
            verified = replace(facts, verified=True, survivors=())
            await _finish(held, verified)
            return verified
    return facts


def _release(held: HeldAttempt, *, failed: bool) -> None:
    if failed:
        keep(held.directory)
    else:
        held.place.directories.release(held.directory, held.copies)


def _has_failed(held: HeldAttempt, facts: Facts) -> bool:
    return classify(facts, held.rules).error_class not in (None, ErrorClass.CANCELLED)


class _Log(NamedTuple):
    size: int
    lines: int | None


async def _close_log(held: HeldAttempt, line: str) -> _Log:
    """Write the closing line of an attempt that no runner had."""
    held.directory.mkdir(mode=0o700, exist_ok=True)
    await when_there_is_room(held.head.write)
    frame = system_line(line, time.time_ns())
    await when_there_is_room(lambda: append_log(str(held.directory), frame))
    return _Log(stream_size(str(held.directory), "log"), count_log_lines(str(held.directory)))


async def _see_dead(held: HeldAttempt) -> None:
    """Kill through the runner; if it dies too, or never answers for it, by hand."""
    if held.execution.handed_over and held.execution.end is None:
        held.kill()
        await held.execution.wait_ended()
    if held.execution.end is End.GONE and held.outcome() is None:
        await end_tree_of(held.ref, held.place, held.remains())
