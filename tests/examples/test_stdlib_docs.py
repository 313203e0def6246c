"""`make run`: a real crawl, shown and judged; and its documentation server, which never outlives it."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.examples.cli import EXAMPLES, Silkmill
from tests.helpers import wait_until

STDLIB_DOCS = EXAMPLES / "stdlib-docs"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy whose data directory lies in the copy, not in this repository."""
    ignored = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(STDLIB_DOCS, tmp_path / "examples" / "stdlib-docs", ignore=ignored))


def test_make_run_shows_a_real_crawl(folder: Path) -> None:
    data = folder.parents[1] / ".cache" / "run"
    (folder / "stranger.py").write_text("raise SystemExit('imported by pydoc')")
    shown = subprocess.run([sys.executable, folder / "run.py"], capture_output=True, text=True, timeout=180)
    assert shown.returncode == 0, shown.stdout[-3000:] + shown.stderr[-3000:]
    assert "INFO: json: JSON (JavaScript Object Notation)" in shown.stdout  # the log, live
    states = re.findall(r"^  [\d:.]{12}  (\w+)", shown.stdout, re.MULTILINE)
    assert list(dict.fromkeys(states)) == ["created", "pending", "running", "finished"]
    found = re.search(
        r"^(\d+) items, (\d+) of them distinct; the task is finished$", shown.stdout, re.MULTILINE
    )
    assert found is not None and int(found[1]) == int(found[2]) >= 300
    modules = {item["module"] for item in Silkmill(data).items()}
    assert len(modules) == int(found[1]) and {"json", "asyncio.tasks", "sys"} <= modules
    assert not modules & {"stranger", "scrapy", "antigravity", "this", "turtle", "idlelib", "test"}
    assert not processes_with(str(data))


@pytest.mark.parametrize(
    ("code", "state", "modules"),
    [
        (0, "finished", 299),
        (0, "running", 300),
        (1, "finished", 300),
    ],
)
def test_make_run_fails(code: int, state: str, modules: int) -> None:
    lines = [json.dumps({"module": str(number)}) for number in range(modules)]
    assert run_script().verdict(code, {"state": state}, lines) == 1


def test_make_run_fails_on_items_that_are_not_distinct() -> None:
    lines = [json.dumps({"module": str(number)}) for number in range(300)]
    assert run_script().verdict(0, {"state": "finished"}, lines) == 0
    assert run_script().verdict(0, {"state": "finished"}, [*lines, lines[0]]) == 1


def test_the_documentation_server_ends_with_a_killed_spider(folder: Path) -> None:
    with crawling(folder) as spider:
        server = children(spider.pid)
        assert len(server) == 1 and b"pydoc" in command_of(server[0])
        spider.kill()
        spider.wait()
        wait_until(lambda: not command_of(server[0]), describe=lambda: command_of(server[0]))


@contextmanager
def crawling(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The spider run by hand, outside of Silkmill, once it has printed its first message."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SILKMILL_")}
    with (folder / "stderr").open("wb") as talk:
        spider = subprocess.Popen(
            [sys.executable, "main.py"], cwd=folder, env=clean, stdout=subprocess.PIPE, stderr=talk, text=True
        )
    try:
        assert spider.stdout is not None
        first = spider.stdout.readline()
        assert first.startswith('{"type"'), (folder / "stderr").read_text()
        yield spider
    finally:
        spider.kill()
        spider.communicate()


def run_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("stdlib_docs_run", STDLIB_DOCS / "run.py")
    assert spec is not None and spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module  # type: ignore[no-any-return]


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def command_of(pid: int) -> bytes:
    """Empty once the process is gone, or a zombie that its reaper has not seen yet."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def processes_with(text: str) -> list[bytes]:
    """Command lines and environments of living processes that name the text."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            said = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        if text.encode() in said:
            found.append(said[:500])
    return found
