"""The command line as a user has it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


class Silkmill:
    """Its commands on one data directory, without a server."""

    def __init__(self, data: Path) -> None:
        self._data = data

    def run(self, target: Path | str, *options: str, code: int = 0) -> dict[str, Any]:
        """The task when it has ended. Only the exit code is asserted."""
        return dict(json.loads(self.say("run", str(target), *options, "--json", code=code).stdout))

    def items(self, *options: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.say("items", "last", *options).stdout.splitlines()]

    def log(self, *options: str) -> str:
        return self.say("logs", "last", *options).stdout

    def say(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "silkmill", *arguments, "--data", str(self._data)]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SILKMILL_")}
        done = subprocess.run(command, env=clean, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, f"{command} ended with {done.returncode}:\n{done.stderr[-4000:]}"
        return done
