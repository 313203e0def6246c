"""Whether the package index that this machine's uv and npm are set up for gives what an example asks for."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from silkmill.domain.build_failure import Cause, failure_of
from silkmill.worker.environments.commands import find_uv

SECONDS = 60


def need_index(folder: Path) -> None:
    """Skips the test where the index is away, and where a tool is missing; in CI both are failures. Anything
    else that is wrong with the example is left to the test."""
    for missing in _missing(folder):
        what = f"NOT RUN: examples/{folder.name} needs {missing}"
        assert not os.environ.get("CI"), what
        pytest.skip(what)


def _missing(folder: Path) -> list[str]:
    commands = []
    if (folder / "requirements.txt").exists():
        commands.append([find_uv(), "pip", "compile", "--quiet", "--no-header", "requirements.txt"])
    if (folder / "package.json").exists():
        if not (shutil.which("node") and shutil.which("npm")):
            return ["Node.js and npm"]
        commands.append(["npm", "ci", "--dry-run", "--fetch-retries=0", "--no-audit", "--no-fund"])
    return [f"the package index: {said}" for command in commands if (said := _index_away(command, folder))]


def _index_away(command: list[str], folder: Path) -> str | None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return f"no answer in {SECONDS} s"
    failure = failure_of(Path(command[0]).name, done.returncode, done.stderr.splitlines())
    return failure.reason if done.returncode and failure.cause is Cause.INDEX_AWAY else None
