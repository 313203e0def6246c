"""The supervisor of a build: of what it has started nothing is left, whatever that was doing meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from worker_driver import processes_of

from silkmill.worker.environments.commands import Command
from silkmill.worker.environments.run import run_command
from silkmill.worker.trees import BUILD_VARIABLE

FORKING = """
import os, sys, time
for _ in range(30):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for _ in range(5):
                if os.fork() == 0:
                    time.sleep(600)
            time.sleep(600)
        os._exit(0)
print("up", flush=True)
if sys.argv[1] == "stays":
    time.sleep(600)
"""
MANY = """
import os, time
from silkmill.worker.environments import supervisor
look, looks = supervisor.descendants, 0
def count(root):
    global looks
    looks += 1
    return look(root)
supervisor.descendants = count
for _ in range(400):
    if os.fork() == 0:
        time.sleep(600)
supervisor._end_rest()
print(looks)
"""


def test_many_that_die_together_are_looked_for_together() -> None:
    ended = subprocess.run([sys.executable, "-c", MANY], stdout=subprocess.PIPE, timeout=60, check=True)
    assert 1 <= int(ended.stdout) < 100


@pytest.mark.parametrize("how", ["stays", "ends"])
def test_of_daemons_that_fork_while_they_are_killed_none_is_left(how: str) -> None:
    for _ in range(5):
        marker = uuid.uuid4().hex
        env = {"MARKER": marker, "PATH": os.environ["PATH"]}
        order = {"argv": [sys.executable, "-c", FORKING, how], "env": env, "cwd": "/", "group": ""}
        command = [sys.executable, "-m", "silkmill.worker.environments.supervisor"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as supervisor:
            assert supervisor.stdin is not None and supervisor.stdout is not None
            supervisor.stdin.write(json.dumps(order).encode() + b"\n")
            supervisor.stdin.flush()
            assert supervisor.stdout.readline() == b"up\n"
            if how == "stays":
                supervisor.stdin.close()
            assert supervisor.wait(30) == (130 if how == "stays" else 0)
        assert processes_of(marker) == []


DEFECTIVE = """
import sys
from silkmill.worker.environments import supervisor
def defect(child):
    raise RuntimeError("a defect")
supervisor._wait = defect
sys.exit(supervisor.main())
"""


async def test_what_a_defective_one_leaves_is_ended_by_the_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, marker: str
) -> None:
    (tmp_path / "defective_supervisor.py").write_text(DEFECTIVE)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setattr("silkmill.worker.environments.run._SUPERVISOR", "defective_supervisor")
    env = {"MARKER": marker, BUILD_VARIABLE: str(tmp_path), "PATH": os.environ["PATH"]}
    command = Command(("sh", "-c", "exec >/dev/null 2>&1; sleep 600 & sleep 600"), env, "/")
    code = await run_command(command, tmp_path, "", lambda lines: None)
    assert code != 0 and processes_of(marker) == []
