"""A process that works for this one answers block by block, dies loudly, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
import uvloop

from silkmill.domain.errors import Unavailable
from silkmill.runtime.workprocess import work_process

MODULE = "workprocess_for_tests"
SOURCE = """
import os
from silkmill.runtime.workprocess import serve

def answer(block):
    if block == b"die":
        os._exit(3)
    if block == b"who":
        return b"%d %d" % (os.getpid(), os.getpriority(os.PRIO_PROCESS, 0))
    return block[::-1]

serve(answer)
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / f"{MODULE}.py").write_text(SOURCE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


async def test_blocks_of_any_size_are_answered_in_order() -> None:
    async with work_process(MODULE) as process:
        for block in (b"abc", b"", os.urandom(3_000_000), b"x"):
            assert await process.ask(block) == block[::-1]


async def test_it_yields_to_everything_else_and_is_gone_in_the_end() -> None:
    async with work_process(MODULE) as process:
        pid, nice = map(int, (await process.ask(b"who")).split())
        assert nice == 19
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_process_that_dies_is_unavailable() -> None:
    with pytest.raises(Unavailable, match=MODULE):
        async with work_process(MODULE) as process:
            await process.ask(b"die")


async def test_so_is_one_that_does_not_begin() -> None:
    with pytest.raises(Unavailable, match="no_such_module"):
        async with work_process("no_such_module") as process:
            await process.ask(b"x")


@pytest.mark.parametrize("pause", [0.0, 0.2])
def test_one_that_dies_between_two_questions_is_unavailable_too(pause: float) -> None:
    """In the engine's own event loop, which tells it otherwise than that of the standard library."""

    async def ask_a_dead_one() -> None:
        async with work_process(MODULE) as process:
            os.kill(int((await process.ask(b"who")).split()[0]), signal.SIGKILL)
            await asyncio.sleep(pause)
            await process.ask(b"x")

    with pytest.raises(Unavailable, match=MODULE):
        uvloop.run(ask_a_dead_one())


async def test_what_lies_in_the_working_directory_is_not_taken_for_a_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spiders = tmp_path / "spiders"
    spiders.mkdir()
    (spiders / "struct.py").write_text("raise SystemExit('the wrong one')")
    monkeypatch.chdir(spiders)
    async with work_process(MODULE) as process:
        assert await process.ask(b"abc") == b"cba"
