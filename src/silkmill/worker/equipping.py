"""The step that waits for the environments of an attempt, with its lines in the attempt's log."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from silkmill.domain.environment import Recipe, recipes_of
from silkmill.domain.errors import StaleAttempt, StaleSession, Unavailable
from silkmill.domain.version import FileEntry
from silkmill.ports.link import WorkOrder
from silkmill.protocol.attemptdir import WORK_DIRECTORY
from silkmill.runtime.loop import every
from silkmill.worker.allowance import Allowance
from silkmill.worker.environments.folder import Environment
from silkmill.worker.held import HeldAttempt
from silkmill.worker.prepare.errors import PreparationFailed

READ_BYTES = 1 << 20
"""Reading more would hold up every heartbeat of the engine."""
_TELL_SECONDS = 5.0


async def equip(held: HeldAttempt, order: WorkOrder, allowance: Allowance) -> tuple[Environment, ...]:
    """What the version asks for, ready and held. Its files are in `work` already.

    Raises PreparationFailed, StaleAttempt, OSError."""
    work = held.directory / WORK_DIRECTORY
    recipes = recipes_of(order.files, lambda entry: _text(work, entry))
    return tuple([await _one(held, recipe, work, allowance) for recipe in recipes])


async def _one(held: HeldAttempt, recipe: Recipe, work: Path, allowance: Allowance) -> Environment:
    environments = held.place.environments
    key = environments.key_of(recipe)
    held.hold_environment(key)
    environment = environments.ready(key, recipe)
    if environment is not None:
        return environment
    async with held.streams.shipping() as group:
        waiter = _Waiter(held, allowance)
        telling = group.create_task(every(_TELL_SECONDS, waiter.tick, wake=waiter.has_changed))
        built = await _built(held, key, recipe, work, waiter)
        telling.cancel()
        held.streams.stop()
    if isinstance(built, PreparationFailed):
        raise built
    return built


async def _built(
    held: HeldAttempt, key: str, recipe: Recipe, work: Path, waiter: _Waiter
) -> Environment | PreparationFailed:
    """The failure as a value: a task group that it left would wrap it."""
    try:
        return await held.place.environments.built(key, recipe, work, waiter)
    except PreparationFailed as failure:
        return failure
    except OSError as error:
        return PreparationFailed(f"environment {key}: {error}")


class _Waiter:
    """Implements environments.build.Waiter for a held attempt."""

    def __init__(self, held: HeldAttempt, allowance: Allowance) -> None:
        self._held, self._allowance = held, allowance
        self._doing: tuple[str, bool] | None = None
        self.has_changed = asyncio.Event()

    def say(self, line: str) -> None:
        self._held.head.say(line)

    def pass_on(self, lines: bytes) -> None:
        self._held.head.pass_on(lines)

    def doing(self, what: str, *, away: bool) -> None:
        self._allowance.count(away=away)
        self._doing = what, away
        self.has_changed.set()

    async def tick(self) -> None:
        """Tell the master, for which `away` lasts only for a while."""
        if self._doing is not None:
            doing, away = self._doing
            await tell_preparing(self._held, doing, away=away)


async def tell_preparing(held: HeldAttempt, doing: str, *, away: bool) -> None:
    """A hint for the master: what it waits for; `away`: something outside."""
    with contextlib.suppress(Unavailable, StaleSession, StaleAttempt):
        await held.place.link.preparing(held.place.session.id, held.ref, doing, away=away)


def _text(work: Path, entry: FileEntry) -> str:
    """Raises PreparationFailed, OSError."""
    if entry.size > READ_BYTES:
        raise PreparationFailed(
            f"{entry.path}: {entry.size} bytes; a file that asks for packages may have {READ_BYTES}",
            permanent=True,
        )
    return (work / entry.path).read_text(encoding="utf-8", errors="replace")
