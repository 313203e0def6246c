"""The engine in a thread of a command that needs one, and the reading half of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from silkmill import compose
from silkmill.cli.background import in_background
from silkmill.cli.talk import say
from silkmill.client.server import Server

if TYPE_CHECKING:
    from silkmill.settings import Settings

DRAIN_SECONDS = 2.0
"""The tasks of all clients have ended by then: only their directories are still cleaned."""

SETTLE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Hosted:
    """An engine in another thread."""

    server: Server
    engine: compose.Engine
    loop: asyncio.AbstractEventLoop

    def leave(self) -> bool:
        """Whether all tasks that were given to it have ended; then it takes no more. Raises Unavailable."""
        closed = self.engine.given.close_if_done()
        return asyncio.run_coroutine_threadsafe(closed, self.loop).result()

    def leave_when_done(self) -> None:
        """Wait until it can be left. Raises Unavailable."""
        closed = self.engine.given.close_when_done()
        asyncio.run_coroutine_threadsafe(closed, self.loop).result()


@contextmanager
def hosted(data: Path) -> Iterator[Hosted]:
    """An engine on a free port that runs what is given to it. Its end drains, but does not wait for what an
    earlier engine had left running; an error or a Ctrl-C too many cuts.

    Raises DataDirectoryBusy, BadInput, Unavailable."""
    settings = _settings(data)
    with in_background(lambda: _engine(settings)) as engine:
        yield engine


@contextmanager
def reader(data: Path) -> Iterator[Server]:
    """The server's own reading code over a data directory that no engine holds."""
    with in_background(lambda: compose.reading(data)) as served:
        yield Server(served.url, served.token)


def settle(data: Path) -> list[str]:
    """Record the end of attempts whose runners are dead: logs and items are stored, the tasks are given back.
    Answers with the ids of those for which there was no time.

    Raises DataDirectoryBusy, BadInput, Unavailable, OSError."""
    return uvloop.run(_settle(_settings(data, drain_timeout=0.0)))


def _settings(data: Path, **flags: float) -> Settings:
    from silkmill.settings import load_settings  # slow to load, and a reader needs none

    return load_settings(data, listen="127.0.0.1:0", **flags)


async def _settle(settings: Settings) -> list[str]:
    async with compose.Engine.open(settings) as engine, asyncio.TaskGroup() as group:
        engine.drain()
        running = group.create_task(engine.run())
        await asyncio.wait([running], timeout=SETTLE_SECONDS)
        left = [] if running.done() else engine.running()
        engine.cut()
    return left


@asynccontextmanager
async def _engine(settings: Settings) -> AsyncIterator[Hosted]:
    async with compose.Engine.open(settings, only_given=True) as engine, asyncio.TaskGroup() as group:
        running = group.create_task(engine.run())
        try:
            yield Hosted(Server(engine.url, engine.token), engine, asyncio.get_running_loop())
        except BaseException:
            engine.cut()
            raise
        engine.drain()
        await asyncio.wait([running], timeout=DRAIN_SECONDS)
        if not running.done():
            _say_left(engine.running())
            engine.cut()


def _say_left(task_ids: list[str]) -> None:
    say(f"still running since before this command, the next engine goes on with: {' '.join(task_ids)}")
    say("`silkmill stop --kill` ends their spiders")
