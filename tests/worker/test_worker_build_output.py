"""What the tools of a build print: read line by line, and bounded, whatever they print."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from silkmill.protocol.attemptdir import segment_path
from silkmill.protocol.logframe import TEXT_LIMIT, parse_frames
from silkmill.worker.environments.commands import Command
from silkmill.worker.environments.run import run_command
from silkmill.worker.log_head import LogHead

MEGABYTE = 1_000_000


async def heard(script: str, folder: Path) -> list[list[bytes]]:
    """What a command of this script prints, as it comes."""
    calls: list[list[bytes]] = []
    command = Command((sys.executable, "-c", script), dict(os.environ), "/")
    assert await run_command(command, folder, "", calls.append) == 0
    return calls


async def test_lines_keep_their_newlines_and_lose_what_was_overwritten(tmp_path: Path) -> None:
    script = r"import sys; sys.stdout.buffer.write(b'one\n\n10 %\r20 %\rtwo\r\n\xff\nrest')"
    lines = [line for call in await heard(script, tmp_path) for line in call]
    assert lines == [b"one\n", b"\n", b"two\n", b"\xff\n", b"rest"]


async def test_a_line_without_end_comes_in_pieces(tmp_path: Path) -> None:
    script = f"print('a'); print('x' * {20 * MEGABYTE}); print('b')"
    lines = [line for call in await heard(script, tmp_path) for line in call]
    assert max(map(len, lines)) <= 2 * TEXT_LIMIT
    assert b"".join(lines) == b"a\n" + b"x" * 20 * MEGABYTE + b"\nb\n"


async def test_many_lines_that_are_read_at_once_are_heard_at_once(tmp_path: Path) -> None:
    calls = await heard("print('line\\n' * 100_000, end='')", tmp_path)
    assert sum(map(len, calls)) == 100_000
    assert len(calls) < 1000


def test_the_head_writes_once_and_cuts_long_lines(tmp_path: Path) -> None:
    grown: list[int] = []
    head = LogHead(tmp_path, lambda log, items, count: grown.append(log))
    head.pass_on(b"one\ntwo\n" + b"x" * (TEXT_LIMIT + 10))
    head.pass_on(b"y\n")
    log = Path(segment_path(str(tmp_path), "log", 0)).read_bytes()
    assert grown[-1] == len(log) == head.size and len(grown) == 2
    frames = list(parse_frames(log))
    assert len(frames) == head.lines
    assert [(len(frame.text), frame.partial) for frame in frames] == [
        (3, False),
        (3, False),
        (TEXT_LIMIT, True),
        (10, True),
        (1, False),
    ]


@pytest.mark.parametrize("text", ["two\nlines", "no newline"])
def test_what_is_said_is_one_line(tmp_path: Path, text: str) -> None:
    head = LogHead(tmp_path, lambda log, items, count: None)
    head.say(text)
    [frame] = parse_frames(Path(segment_path(str(tmp_path), "log", 0)).read_bytes())
    assert frame.text == text.replace("\n", " ").encode() and not frame.partial
