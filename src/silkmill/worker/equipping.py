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
from silkmill.worker.environments.folder import Environment
from silkmill.worker.held import HeldAttempt
from silkmill.worker.prepare.errors import PreparationFailed


async def equip(held: HeldAttempt, order: WorkOrder) -> tuple[Environment, ...]:
    """What the version asks for, ready and held. Its files are in `work` already.

    Raises PreparationFailed, StaleAttempt, OSError."""
    work = held.directory / WORK_DIRECTORY
    recipes = recipes_of(order.files, lambda entry: _text(work, entry))
    return tuple([await _one(held, recipe, work, order.config.limits.prepare_seconds) for recipe in recipes])


async def _one(held: HeldAttempt, recipe: Recipe, work: Path, limit_seconds: float) -> Environment:
    environments = held.place.environments
    key = environments.key_of(recipe)
    held.hold_environment(key)
    environment = environments.ready(key, recipe)
    if environment is not None:
        return environment
    async with held.streams.shipping():
        built = await _within(held, key, recipe, work, limit_seconds)
        held.streams.stop()
    if isinstance(built, PreparationFailed):
        raise built
    return built


async def _within(
    held: HeldAttempt, key: str, recipe: Recipe, work: Path, limit_seconds: float
) -> Environment | PreparationFailed:
    """The failure as a value: a task group that it left would wrap it."""
    try:
        async with asyncio.timeout(limit_seconds or None) as deadline, asyncio.TaskGroup() as hints:
            waiter = _Waiter(held, limit_seconds, deadline, hints)
            try:
                return await held.place.environments.built(key, recipe, work, waiter)
            except PreparationFailed as failure:
                return failure
            except OSError as error:
                return PreparationFailed(f"environment {key}: {error}")
    except TimeoutError:
        return PreparationFailed(f"preparation took longer than limits.prepare ({limit_seconds:g} s)")


class _Waiter:
    """Implements environments.build.Waiter for a held attempt."""

    def __init__(
        self, held: HeldAttempt, limit_seconds: float, deadline: asyncio.Timeout, hints: asyncio.TaskGroup
    ) -> None:
        self._held, self._limit_seconds, self._deadline, self._hints = held, limit_seconds, deadline, hints

    def say(self, line: str) -> None:
        self._held.head.say(line)

    def pass_on(self, lines: bytes) -> None:
        self._held.head.pass_on(lines)

    def doing(self, what: str, *, away: bool) -> None:
        """Time in which something outside is away does not count."""
        if away and self._limit_seconds:
            self._deadline.reschedule(asyncio.get_running_loop().time() + self._limit_seconds)
        self._hints.create_task(_hint(self._held, what, away=away))


async def _hint(held: HeldAttempt, doing: str, *, away: bool) -> None:
    with contextlib.suppress(Unavailable, StaleSession, StaleAttempt):
        await held.place.link.preparing(held.place.session.id, held.ref, doing, away=away)


def _text(work: Path, entry: FileEntry) -> str:
    return (work / entry.path).read_text(encoding="utf-8", errors="replace")
