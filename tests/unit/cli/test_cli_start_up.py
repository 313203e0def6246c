"""What a client command costs before it does anything: imports, and time beside a bare interpreter."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Cli, clean_environment, end_up, start_up

from silkmill.cli.app import COMMANDS

SERVER_PARTS = re.compile(
    r"(fastapi|starlette|uvicorn|sqlalchemy|pydantic|pydantic_settings|obstore|structlog|httpx|rich|asyncio|msgspec|"
    r"silkmill\.(master|worker|adapters|compose|ports|runtime|settings|runner\.main))\b"
)
WORKER_PARTS = re.compile(r"(pydantic_settings|silkmill\.(worker|settings|runner))\b")
BARE_RATIO = 20
"""Measured: 7 for `ps`; 40 would be half a second. A client command imports click and http.client, nothing of
the engine."""
ANSWERS_AT_ONCE = [
    ("ps",),
    ("show", "TASK"),
    ("why", "TASK"),
    ("wait", "TASK"),
    ("cancel", "TASK"),
    ("retry", "TASK"),
    ("logs", "TASK"),
    ("logs", "TASK", "-f"),
    ("items", "TASK"),
    ("submit", "hello", "--params", "LINES"),
    ("projects", "list"),
    ("schedules", "list"),
    ("deploy", "FOLDER"),
    ("deploy", "ARCHIVE"),
    ("versions", "hello"),
    ("versions", "diff", "VERSION", "VERSION"),
    ("rollback", "hello", "VERSION"),
    ("run", "FOLDER", "--detach"),
]
OTHERS = {"up", "stop", "run"}


@pytest.fixture(scope="module")
def task_id(up: Cli, folder: Path) -> str:
    return str(up("run", str(folder), "--json").json["id"])


def imported(cli: Cli, *arguments: str) -> list[str]:
    command = [sys.executable, "-X", "importtime", "-m", "silkmill", *arguments, "--data", str(cli.data)]
    result = subprocess.run(command, capture_output=True, text=True, env=clean_environment())
    assert result.returncode == 0, result.stderr[-2000:]
    return re.findall(r"^import time:.*\|\s+(\S+)$", result.stderr, re.MULTILINE)


def test_no_command_is_forgotten() -> None:
    """`up` is the server; `stop` and `run` take as long as what they wait for."""
    assert {arguments[0] for arguments in ANSWERS_AT_ONCE} | OTHERS == set(COMMANDS)


@pytest.mark.parametrize("arguments", [*ANSWERS_AT_ONCE, ("run", "hello")], ids=" ".join)
def test_a_client_command_imports_no_part_of_the_server(
    up: Cli, task_id: str, folder: Path, arguments: tuple[str, ...]
) -> None:
    modules = imported(up, *named(up, arguments, task_id, folder))
    assert "click" in modules
    assert [name for name in modules if SERVER_PARTS.match(name)] == []


def named(up: Cli, arguments: tuple[str, ...], task_id: str, folder: Path) -> list[str]:
    lines = folder / "lines.jsonl"
    lines.write_text("{}\n")
    names = {"TASK": task_id, "FOLDER": str(folder), "LINES": str(lines)}
    if "ARCHIVE" in arguments:
        names["ARCHIVE"] = shutil.make_archive(str(folder.with_name("packed")), "zip", folder)
    if "VERSION" in arguments:
        names["VERSION"] = up("show", task_id, "--json").json["version"]
    return [names.get(argument, argument) for argument in arguments]


def test_stop_imports_no_part_of_the_server(alone: Cli) -> None:
    process = start_up(alone)
    try:
        modules = imported(alone, "stop")
        assert [name for name in modules if SERVER_PARTS.match(name)] == []
    finally:
        end_up(alone, process)


@pytest.mark.parametrize("arguments", ANSWERS_AT_ONCE, ids=" ".join)
def test_a_client_command_answers_within_a_multiple_of_a_bare_interpreter(
    up: Cli, task_id: str, folder: Path, arguments: tuple[str, ...]
) -> None:
    bare = [sys.executable, "-c", "pass"]
    command = [
        sys.executable,
        "-m",
        "silkmill",
        *named(up, arguments, task_id, folder),
        "--data",
        str(up.data),
    ]
    times = [(seconds(bare), seconds(command)) for _ in range(5)]
    assert min(ours for _, ours in times) < BARE_RATIO * min(bare for bare, _ in times), times


def test_reading_a_data_directory_loads_no_part_of_the_worker(alone: Cli, folder: Path) -> None:
    assert alone("run", str(folder)).code == 0
    for arguments in (("ps",), ("show", "last"), ("logs", "last"), ("items", "last"), ("why", "last")):
        modules = imported(alone, *arguments)
        assert "silkmill.compose" in modules
        assert [name for name in modules if WORKER_PARTS.match(name)] == []


def seconds(command: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=clean_environment())
    return time.perf_counter() - begun
