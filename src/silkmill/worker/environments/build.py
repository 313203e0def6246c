"""An environment while it is built: once, for all who wait for it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

import structlog

from silkmill.domain.build_failure import BuildFailure, Cause, failure_of
from silkmill.domain.environment import Recipe
from silkmill.runtime.loop import Backoff
from silkmill.worker.disk import is_full
from silkmill.worker.environments.commands import Command, commands_of
from silkmill.worker.environments.folder import contents_of, lay_out, seal
from silkmill.worker.environments.run import run_command
from silkmill.worker.prepare.errors import PreparationFailed
from silkmill.worker.removal import remove_tree

_log = structlog.get_logger(__name__)
Result = TypeVar("Result")
_AWAY = {Cause.INDEX_AWAY: "the package index is away", Cause.DISK_FULL: "the disk is full"}
_LAST_LINES = 100
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0


class Waiter(Protocol):
    """An attempt that waits for an environment."""

    def say(self, line: str) -> None:
        """For its log."""

    def pass_on(self, lines: bytes) -> None:
        """For its log, from a tool: each with its newline; without one, the last goes on in the next call."""

    def doing(self, what: str, *, away: bool) -> None:
        """What it waits for now; `away`: something outside, for which it is not to blame."""


class Build:
    """Its owner runs it as `task`, sets `ended` when that is over, and stops it when nobody is left.

    What the tools print goes into the log of one who waits, the first: when that one leaves, of the next."""

    def __init__(self, recipe: Recipe, folder: Path, work: Path, group: str) -> None:
        """`work`: a private copy of the version. Raises OSError."""
        self.folder = folder
        self.size = 0
        self.failure: PreparationFailed | None = None
        self.task: asyncio.Task[None] | None = None
        self.ended = asyncio.Event()
        self.is_stopping = False
        self._recipe = recipe
        self._contents = contents_of(recipe, work)
        self._group = group
        self._waiters: list[Waiter] = []
        self._doing, self._away = f"is built from {recipe.kind.source}", False

    @property
    def is_wanted(self) -> bool:
        return bool(self._waiters)

    async def wait(self, waiter: Waiter) -> PreparationFailed | None:
        """Until it is ready, or failed."""
        if self._waiters:
            waiter.say(f"environment {self.folder.name}: another task builds it, waiting")
            waiter.doing(self._doing, away=self._away)
        self._waiters.append(waiter)
        try:
            await self.ended.wait()
        finally:
            self._waiters.remove(waiter)
        return self.failure

    async def stop(self) -> None:
        """Returns when it has ended and none of its processes is left."""
        self.is_stopping = True
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait([self.task])

    async def run(self) -> None:
        """Afterwards it is sealed, or there is a `failure`. Raises nothing but CancelledError."""
        try:
            self.failure = await self._make()
        except PreparationFailed as failure:
            self.failure = failure
        except OSError as error:
            self.failure = PreparationFailed(f"environment {self.folder.name}: {error}")
        except Exception as defect:
            _log.exception("a defect of the agent ends a build", folder=str(self.folder))
            self.failure = PreparationFailed(f"agent error: {type(defect).__name__}: {defect}")

    async def _make(self) -> PreparationFailed | None:
        """Repeated until neither the index nor the disk is to blame. Until then a try is a look whether they
        are back, whose time counts no more than that of the pauses."""
        backoff = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        source = self._recipe.kind.source
        away = False
        while True:
            self._do(f"is built from {source}", self._waiters[:1], away=away)
            failure = await self._try()
            if failure is None:
                self._do("is ready", self._waiters)
                return None
            if failure.cause not in _AWAY:
                permanent = failure.cause is Cause.BROKEN
                return PreparationFailed(f"{source}: {failure.reason}", permanent=permanent)
            away = True
            self._do(f"waits, {_AWAY[failure.cause]}: {failure.reason}", self._waiters, away=away)
            await backoff.wait()

    async def _try(self) -> BuildFailure | None:
        try:
            await _to_the_end(lambda: remove_tree(self.folder))
            lay_out(self.folder, self._recipe, self._contents)
            for command in commands_of(self._recipe, self.folder):
                if failure := await self._run(command):
                    return failure
            self.size = await _to_the_end(lambda: seal(self.folder))
        except OSError as error:
            if not is_full(error):
                raise
            return BuildFailure(Cause.DISK_FULL, str(error))
        return None

    async def _run(self, command: Command) -> BuildFailure | None:
        output = _Output(command.name)

        def hear(lines: list[bytes]) -> None:
            shown = output.add(lines)
            for first in self._waiters[:1]:
                first.pass_on(shown)

        code = await run_command(command, self.folder, self._group, hear)
        return failure_of(command.name, code, output.last) if code else None

    def _do(self, what: str, saying: list[Waiter], *, away: bool = False) -> None:
        """All waiters hear of it, some also for their logs."""
        self._doing, self._away = what, away
        for waiter in saying:
            waiter.say(f"environment {self.folder.name}: {what}")
        for waiter in self._waiters:
            waiter.doing(what, away=away)


class _Output:
    """What a tool prints, with its name before each line."""

    def __init__(self, tool: str) -> None:
        self._name = f"{tool}: ".encode()
        self._last: deque[bytes] = deque(maxlen=_LAST_LINES)

    @property
    def last(self) -> list[str]:
        """The last lines."""
        return [line.decode("utf-8", "replace").rstrip("\n") for line in self._last]

    def add(self, lines: list[bytes]) -> bytes:
        """Returns what a log shows of them."""
        shown = []
        for line in lines:
            begins = not self._last or self._last[-1].endswith(b"\n")
            shown.append(self._name + line if begins else line)
            self._last.append(line)
        return b"".join(shown)


async def _to_the_end(work: Callable[[], Result]) -> Result:
    """In a thread. Cancelled, it returns only when nobody works in the folder any more."""
    working = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait([working])
        raise
