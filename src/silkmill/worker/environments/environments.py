"""`<data>/envs/`: which environments are ready, which are built now, which are in use, and which go."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

from silkmill.domain.environment import Recipe
from silkmill.worker.environments.build import Build, Waiter
from silkmill.worker.environments.commands import machine_of
from silkmill.worker.environments.folder import READY, Environment, size_of
from silkmill.worker.prepare.room import Room
from silkmill.worker.removal import remove_tree
from silkmill.worker.trees import end_builders

_log = structlog.get_logger(__name__)
_TOUCH_SECONDS = 3600.0
_ASIDE = ".gone-"  # begins the names of folders that are being removed

Start = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class Environments:
    """One that has its marker is whole, and is never changed. Above `limit_bytes` those go that were not used
    for longest, and any that nobody has used for `kept_seconds`; never one that is held.

    `start` owns the builds: it starts a task that ends with the agent at the latest. `cgroup_base` is empty
    where there are no cgroups."""

    def __init__(
        self, folder: Path, start: Start, cgroup_base: str, *, limit_bytes: int, kept_seconds: float
    ) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder.resolve()
        self._start = start
        self._cgroup_base = cgroup_base
        self._kept_seconds = kept_seconds
        self._room = Room(limit_bytes)
        self._used_at: dict[str, float] = {}
        self._builds: dict[str, Build] = {}
        self._asides = itertools.count()

    async def take_stock(self) -> None:
        """What an earlier agent has left: ready ones in the order of their use. Everything else is removed,
        after whoever may still build it was killed."""
        found = []
        for folder in list(self._folder.iterdir()):
            size = None if folder.name.startswith(_ASIDE) else size_of(folder)
            if size is None:
                await asyncio.to_thread(_end_unfinished, folder)
            else:
                found.append(((folder / READY).stat().st_mtime, folder.name, size))
        for used_at, key, size in sorted(found):
            self._used_at[key] = used_at
            self._room.use(key, size)
        await self._make_room()

    def hold(self, key: str) -> None:
        """From now on it stays, whether it is there already or comes then."""
        self._room.hold({key})

    def let_go(self, key: str) -> None:
        """As often as it was held."""
        self._room.let_go({key})
        if key in self._used_at:
            self._touch(key)

    def key_of(self, recipe: Recipe) -> str:
        """Raises PreparationFailed where the tool that is needed is missing."""
        return recipe.key(machine_of(recipe.kind))

    def ready(self, key: str, recipe: Recipe) -> Environment | None:
        """The environment, if nothing has to be built."""
        folder = self._folder / key
        if key not in self._used_at or not os.path.exists(folder / READY):  # noqa: PTH110
            return None
        self._room.touch(key)
        self._touch(key)
        return Environment(key, recipe.kind, folder)

    async def built(self, key: str, recipe: Recipe, work: Path, waiter: Waiter) -> Environment:
        """Wait for one that is not ready, which is held. `work`: a private copy of the version's files.

        One build serves all who wait; the last who leaves stops it. Raises PreparationFailed, OSError."""
        while (environment := self.ready(key, recipe)) is None:
            build = self._builds.get(key) or self._begin(key, recipe, work)
            if build.is_stopping:
                await build.ended.wait()
                continue
            try:
                failure = await build.wait(waiter)
            finally:
                if not (build.is_wanted or build.ended.is_set()):
                    await build.stop()
            if failure is not None:
                raise failure
        return environment

    async def tick(self) -> None:
        """Remove what nobody has used for long."""
        oldest = time.time() - self._kept_seconds
        expired = [key for key in self._room.idle() if self._used_at[key] < oldest]
        for key in expired:
            self._forget(key)
        await self._remove(expired + self._room.surplus())

    def _begin(self, key: str, recipe: Recipe, work: Path) -> Build:
        self._forget(key)  # somebody may have removed its folder
        group = f"{self._cgroup_base}/build.{key}" if self._cgroup_base else ""
        build = Build(recipe, self._folder / key, work, group)
        self._builds[key] = build
        build.task = self._start(self._carry_out(key, build))
        return build

    async def _carry_out(self, key: str, build: Build) -> None:
        try:
            await build.run()
            self._put_in(key, build)
        finally:
            try:
                if key not in self._used_at:
                    await self._remove([key])
            finally:
                del self._builds[key]
                build.ended.set()
        await self._make_room()

    def _put_in(self, key: str, build: Build) -> None:
        if build.failure is None:
            self._used_at[key] = time.time()
            self._room.use(key, build.size)

    async def _make_room(self) -> None:
        await self._remove(self._room.surplus())

    async def _remove(self, keys: Sequence[str]) -> None:
        """They are out of sight before anybody else has a turn: nobody meets one that is to go."""
        asides = [aside for key in keys if (aside := self._put_aside(key))]
        if asides:
            await asyncio.to_thread(_remove_each, asides)

    def _put_aside(self, key: str) -> Path | None:
        """Where it is now, not ready any more; None: it was not there, or could not be moved."""
        self._forget(key)
        aside = self._folder / f"{_ASIDE}{os.getpid()}.{next(self._asides)}"
        try:
            (self._folder / key).rename(aside)
        except FileNotFoundError:  # its build ended before there was anything, or somebody has removed it
            return None
        except OSError as error:
            _log.warning("an environment cannot be removed", key=key, cause=str(error))
            return None
        return aside

    def _forget(self, key: str) -> None:
        """It is not ready any more; a repeat changes nothing."""
        self._used_at.pop(key, None)
        self._room.forget(key)

    def _touch(self, key: str) -> None:
        """The time of the marker says it too, roughly, for the next agent."""
        now = self._used_at[key] = time.time()
        marker = self._folder / key / READY
        with suppress(OSError):
            if now - os.stat(marker).st_mtime > _TOUCH_SECONDS:  # noqa: PTH116
                os.utime(marker)


def _remove_each(folders: Sequence[Path]) -> None:
    for folder in folders:
        remove_tree(folder)


def _end_unfinished(folder: Path) -> None:
    if not end_builders(folder):
        _log.error("processes of a build would not die", folder=str(folder))
    remove_tree(folder)
