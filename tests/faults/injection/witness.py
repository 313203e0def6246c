"""The records of witness spiders, the folder in which nothing may appear, and who is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.engine.server import Server, wait_for
from tests.faults.checker import Evidence
from tests.faults.staging import script_of


@dataclass(frozen=True, slots=True)
class Given:
    """What a spider was given, by its own record."""

    argv: list[bytes]
    environ: dict[bytes, bytes]
    params: dict[str, Any]
    files: set[bytes]


class Witness:
    """Engine and spiders know the variable CANARY: a file that names of files try to make."""

    def __init__(self, folder: Path) -> None:
        self.records, self.canary = folder / "records", folder / "canary"
        for made in (self.records, self.canary):
            made.mkdir()
        self.env = {"RECORDS": str(self.records), "CANARY": str(self.canary / "by-name")}

    def folder(self, parent: Path, name: str, toml: str, main: str = "main.py") -> Path:
        """Of a spider. `toml`: all but its name and its variables RECORDS and CANARY, which end the file."""
        folder = parent / name
        folder.mkdir(parents=True)
        variables = "".join(f'{name} = "{value}"\n' for name, value in self.env.items())
        (folder / "spider.toml").write_text(f'name = "{name}"\n{toml}\n[env]\n{variables}')
        (folder / main).write_text(script_of("witness"))
        return folder

    def given(self, task_id: str) -> Given:
        environ = dict(entry.split(b"=", 1) for entry in self._parts(task_id, "environ"))
        params = json.loads((self.records / f"{task_id}.params").read_bytes())
        return Given(self._parts(task_id, "argv"), environ, params, set(self._parts(task_id, "files")))

    def wait_finished(self, server: Server, ids: Iterable[str]) -> None:
        """All of them, with nothing executed; a refusal that comes late, as an error of a task, is none."""
        wanted = set(ids)

        def ended() -> bool:
            tasks = Evidence(server.data).tasks()
            return all(tasks[task_id].state in ("finished", "error") for task_id in wanted)

        wait_for(ended, f"{len(wanted)} tasks to end", seconds=180)
        self.check_nothing_ran()
        for task_id, task in Evidence(server.data).tasks().items():
            assert task_id not in wanted or task.state == "finished", (task_id, task.doc["reason"])

    def check_nothing_ran(self) -> None:
        made = sorted(path.name for path in self.canary.iterdir())
        assert not made, f"the payloads {made} were executed"

    def _parts(self, task_id: str, suffix: str) -> list[bytes]:
        return (self.records / f"{task_id}.{suffix}").read_bytes().split(b"\0")[:-1]


def cli(
    server: Server, *arguments: str | bytes, stdin: bytes = b"", cwd: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | server.env | {"SILKMILL_DATA": str(server.data)}
    command = [sys.executable, "-m", "silkmill", *arguments]
    return subprocess.run(command, env=environment, input=stdin, capture_output=True, cwd=cwd, check=False)


def printed_id(ended: subprocess.CompletedProcess[bytes]) -> str:
    """Of a command that prints nothing but the id of its task."""
    assert ended.returncode == 0, ended
    return ended.stdout.decode().strip()


def check_refused(server: Server, path: str, body: Any, field: str | None, status: int = 422) -> None:
    """By a problem that names the field and what to do about it."""
    problem = _problem(server, path, body)
    assert problem["status"] == status, f"{path} {str(body)[:300]}: {problem}"
    assert problem["field"] == field, f"{path} {str(body)[:300]}: {problem}"
    assert problem["detail"] and problem["remedy"], problem


def check_refused_by_cli(ended: subprocess.CompletedProcess[bytes], name: str) -> None:
    """With a message that names what is wrong."""
    assert ended.returncode == 2, ended
    assert name in ended.stderr.decode() and b"Traceback" not in ended.stderr, (name, ended)


def _problem(server: Server, path: str, body: Any) -> dict[str, Any]:
    try:
        answer = server.call("POST", path, body)
    except urllib.error.HTTPError as refusal:
        return dict(json.loads(refusal.read()))
    raise AssertionError(f"{path} took {str(body)[:300]}: {answer}")
