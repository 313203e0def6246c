"""Expressions are tried on texts by a few other processes: one that would never end goes with its process.

Python's engine cannot be interrupted, and lets no other thread run meanwhile.
"""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from silkmill.domain.errors import Unavailable
from silkmill.runtime.workprocess import WorkProcess, work_process

AT_ONCE = 4
CPU_SECONDS = 1.0
"""For the texts of one question, which are some hundred KiB of log; a usual expression needs 1 ms."""
WALL_SECONDS = 30.0
"""The process has the lowest priority: on a busy machine its second takes longer."""
TICK_SECONDS = 60.0

_HEAD = struct.Struct("<I")
_Kept = tuple[WorkProcess, AsyncExitStack]


class TooSlow(Exception):
    """The expression took more than its time."""


class Expressions:
    """Its processes are started when they are needed, kept for the next question, and shared by all who ask:
    a reader who takes his time between two questions holds none."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._idle: list[_Kept] = []
        self._spare = 0
        """So many of the first ones were idle since the last tick."""

    async def matches(self, expression: bytes, texts: Sequence[bytes]) -> bytes:
        """A byte for each text: whether the expression is found in it. No text has a line end, and there is
        one at least. Raises TooSlow, Unavailable."""
        question = _HEAD.pack(len(expression)) + expression + b"\n".join(texts)
        async with self._slots, self._process() as process:
            try:
                async with asyncio.timeout(WALL_SECONDS):
                    return await process.ask(question)
            except (TimeoutError, Unavailable) as error:
                raise TooSlow from error

    @asynccontextmanager
    async def _process(self) -> AsyncIterator[WorkProcess]:
        """One that is idle, or a new one; killed unless it has answered."""
        process, leaving = self._idle.pop() if self._idle else await _started()
        self._spare = min(self._spare, len(self._idle))
        async with leaving:
            yield process
            self._idle.append((process, leaving.pop_all()))

    async def tick(self) -> None:
        """End what nobody needed since the last tick."""
        unused, self._idle = self._idle[: self._spare], self._idle[self._spare :]
        self._spare = len(self._idle)
        for _, leaving in unused:
            await leaving.aclose()

    async def close(self) -> None:
        """Once nobody asks any more."""
        self._spare = len(self._idle)
        await self.tick()


async def _started() -> _Kept:
    async with AsyncExitStack() as stack:
        process = await stack.enter_async_context(work_process("silkmill.runtime.expression_process"))
        return process, stack.pop_all()


def answer(question: bytes) -> bytes:
    """What the process does."""
    (length,) = _HEAD.unpack_from(question)
    expression, texts = question[_HEAD.size :][:length], question[_HEAD.size + length :]
    search = re.compile(expression).search
    return bytes(search(text) is not None for text in texts.split(b"\n"))
