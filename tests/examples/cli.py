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

    def run(self, folder: Path) -> dict[str, Any]:
        """The task when it has ended; its end is asserted by who asks."""
        return dict(json.loads(self._call("run", str(folder), "--json")))

    def items(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._call("items", "last").splitlines()]

    def log(self) -> str:
        return self._call("logs", "last")

    def _call(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "silkmill", *arguments, "--data", str(self._data)]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SILKMILL_")}
        done = subprocess.run(command, env=clean, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stderr[-4000:]}"
        return done.stdout
