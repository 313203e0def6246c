"""A child process of low priority that works for this one: a block of bytes in, a block of bytes out."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from silkmill.domain.errors import Unavailable

_LENGTH = struct.Struct("<I")
_BUFFER_BYTES = 1 << 20
_LOWEST_PRIORITY = 19


class WorkProcess:
    """One question at a time. The process ends with its input, so it never outlives this one for long."""

    def __init__(self, module: str, process: Process) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._module = module
        self._stdin, self._stdout = process.stdin, process.stdout

    async def ask(self, block: bytes) -> bytes:
        """Raises Unavailable when the process has died."""
        try:
            if self._stdin.is_closing():  # uvloop would raise a RuntimeError, as for a defect
                raise ConnectionResetError("its input is closed")
            self._stdin.write(_LENGTH.pack(len(block)))
            self._stdin.write(block)
            await self._stdin.drain()
            (length,) = _LENGTH.unpack(await self._stdout.readexactly(_LENGTH.size))
            return await self._stdout.readexactly(length)
        except (OSError, asyncio.IncompleteReadError) as error:
            raise Unavailable("process", f"{self._module} has died: {error}") from error


@asynccontextmanager
async def work_process(module: str) -> AsyncIterator[WorkProcess]:
    """`python -m module`, which calls `serve`; gone when the block is left. Raises Unavailable."""
    # -P: what lies in the folder that the engine was started in is not ours.
    command = [sys.executable, "-P", "-m", module]
    try:
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, limit=_BUFFER_BYTES)
    except OSError as error:
        raise Unavailable("process", f"{module} does not start: {error}") from error
    try:
        yield WorkProcess(module, process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()  # it keeps nothing
        await process.wait()


def serve(answer: Callable[[bytes], bytes]) -> None:
    """The child's side: answer until the input ends. What Ctrl-C means is for the parent to say."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(_LOWEST_PRIORITY)
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while head := source.read(_LENGTH.size):
        block = answer(source.read(*_LENGTH.unpack(head)))
        sink.write(_LENGTH.pack(len(block)) + block)
        sink.flush()
