"""What a starting agent finds on its node: attempts of an agent before it, their runners living or dead."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from silkmill.domain.attempt import AttemptRef
from silkmill.domain.errors import NoFreeSlot
from silkmill.domain.states import Phase
from silkmill.protocol.attemptdir import SPEC_FILE, BadSpec, read_spec
from silkmill.runtime.loop import wait_set
from silkmill.worker.attempts import AttemptOwner
from silkmill.worker.directories import is_kept, keep, remove
from silkmill.worker.execution import End
from silkmill.worker.held import Ending, GivenBack, HeldAttempt
from silkmill.worker.lost import has_begun
from silkmill.worker.runner_process import spider_of
from silkmill.worker.runners import Slot
from silkmill.worker.workplace import Workplace

_log = structlog.get_logger(__name__)
_STRANGER_SECONDS = 5.0


class Found:
    """An attempt that goes on here, if the master still wants it: its owner, and how the owner begins."""

    def __init__(self, owner: AttemptOwner, beginning: Callable[[], Awaitable[Ending]]) -> None:
        self.owner = owner
        self.beginning = beginning


async def find_attempts(place: Workplace) -> list[Found]:
    """Look at every runner and every attempt directory. What was never complete is removed."""
    working = await place.pool.adopt(place.boot_id)
    found = []
    for directory in sorted(place.directories.folder.iterdir()):
        if is_kept(directory):
            continue
        ref = _ref_of(directory)
        if ref is None or not (directory / SPEC_FILE).exists():
            await remove(directory)
            continue
        try:
            found.append(_found(ref, place, directory, working.get(str(directory))))
            working.pop(str(directory), None)
        except BadSpec as error:
            _log.error("an attempt directory cannot be read, it is kept aside", cause=str(error))
            keep(directory)
    for slot, _ in working.values():
        await _stop_stranger(place, slot)
    return found


def _found(ref: AttemptRef, place: Workplace, directory: Path, working: tuple[Slot, str] | None) -> Found:
    spec = read_spec(str(directory))
    if spec["boot_id"] != place.boot_id:
        return _without_runner(ref, place, AttemptOwner.from_another_boot)
    found = _found_in(ref, place, directory, working)
    for key in spec["environments"]:
        found.owner.held.hold_environment(key)
    return found


def _found_in(ref: AttemptRef, place: Workplace, directory: Path, working: tuple[Slot, str] | None) -> Found:
    if working is not None:
        return _with_runner(ref, place, *working)
    if has_begun(directory):
        return _without_runner(ref, place, AttemptOwner.from_dead_runner)
    return _prepared(ref, place)


def _with_runner(ref: AttemptRef, place: Workplace, slot: Slot, phase: str) -> Found:
    held = HeldAttempt(ref, place, slot, Phase.COMPLETING if phase == "completing" else Phase.EXECUTING)
    runner = slot.current
    if runner is None:  # it died while we looked around
        place.pool.give(slot)
        return _without_runner(ref, place, AttemptOwner.from_dead_runner)
    pid = spider_of(runner.process.pid)
    if pid is not None:
        held.execution.has_started(pid, None)
    runner.attach(held.execution)
    owner = AttemptOwner(held)
    return Found(owner, owner.from_runner)


def _without_runner(
    ref: AttemptRef, place: Workplace, beginning: Callable[[AttemptOwner], Awaitable[Ending]]
) -> Found:
    held = HeldAttempt(ref, place, None, Phase.COMPLETING)
    held.execution.has_ended(End.GONE)
    owner = AttemptOwner(held)
    return Found(owner, lambda: beginning(owner))


def _prepared(ref: AttemptRef, place: Workplace) -> Found:
    try:
        slot = place.pool.take()
    except NoFreeSlot:
        return _without_runner(ref, place, _give_back)
    owner = AttemptOwner(HeldAttempt(ref, place, slot, Phase.PREPARING))
    return Found(owner, owner.from_prepared)


async def _give_back(owner: AttemptOwner) -> Ending:
    return GivenBack("the restarted worker has no slot for it")


async def _stop_stranger(place: Workplace, slot: Slot) -> None:
    """A runner works on something that has no directory any more, or no spec: nobody waits for it."""
    if (runner := slot.current) is not None:
        _log.warning("a runner works on an attempt that is gone, stopping it", slot=slot.number)
        runner.retire()
        runner.cancel(force=True)
        await wait_set(runner.gone, _STRANGER_SECONDS)
        runner.process.kill()
    place.pool.give(slot)


def _ref_of(directory: Path) -> AttemptRef | None:
    task, _, number = directory.name.rpartition(".")
    return AttemptRef(task, int(number)) if task and number.isdecimal() else None
