"""Runs one command of a build under a supervisor; when the call returns, nothing of it is left."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import structlog

from silkmill.protocol.logframe import TEXT_LIMIT
from silkmill.worker.environments.commands import Command
from silkmill.worker.trees import BUILD_VARIABLE, end_builders, end_group

_log = structlog.get_logger(__name__)
_SUPERVISOR = "silkmill.worker.environments.supervisor"
_READ_BYTES = 64 * 1024
_PATIENCE_SECONDS = 10.0

Hear = Callable[[list[bytes]], None]


async def run_command(command: Command, folder: Path, group: str, hear: Hear) -> int:
    """Its exit code, when every process of it is dead. Cancelled, it is killed first.

    `hear` gets the lines that it prints, as many as were read at once, each with its newline: without one, it
    goes on in the next. `group`: the cgroup to put it in, "" for none. Raises OSError."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        _SUPERVISOR,
        stdin=PIPE,
        stdout=PIPE,
        env=os.environ | {BUILD_VARIABLE: str(folder)},
    )
    assert process.stdin is not None and process.stdout is not None
    order = {"argv": command.argv, "env": command.env, "cwd": command.cwd, "group": _made(group)}
    try:
        process.stdin.write(json.dumps(order).encode() + b"\n")
        async for lines in _lines(process.stdout):
            hear(lines)
        return await process.wait()
    finally:
        await _end(process, folder, group)


async def _end(process: Process, folder: Path, group: str) -> None:
    """The end of its input tells the supervisor to end everything. One that was killed cannot."""
    assert process.stdin is not None
    process.stdin.close()
    if process.returncode is None:
        await _wait_stopped(process)
    gone = not group or await asyncio.to_thread(end_group, group)
    if process.returncode is None or process.returncode < 0:
        gone = await asyncio.to_thread(end_builders, folder) and gone
        await _wait_stopped(process)
    if not gone:
        _log.error("processes of a build would not die", folder=str(folder))


async def _wait_stopped(process: Process) -> None:
    assert process.stdout is not None
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while await process.stdout.read(_READ_BYTES):
                pass
            await process.wait()


def _made(group: str) -> str:
    if group:
        with suppress(OSError):
            os.makedirs(group, exist_ok=True)  # noqa: PTH103
    return group


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[list[bytes]]:
    """A line that is longer than a frame of the log comes in pieces, for it may never end."""
    rest = b""
    while data := await stream.read(_READ_BYTES):
        *whole, rest = (rest + data).split(b"\n")
        lines = [_shown(line) + b"\n" for line in whole]
        if len(rest) >= TEXT_LIMIT:
            lines.append(_shown(rest))
            rest = b""
        if lines:
            yield lines
    if rest:
        yield [_shown(rest)]


def _shown(line: bytes) -> bytes:
    """Without what a carriage return has overwritten."""
    return line.rstrip(b"\r").rpartition(b"\r")[2]
