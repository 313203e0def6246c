"""The supervisor of a build: of what it has started nothing is left, whatever that was doing meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid

import pytest
from worker_driver import processes_of

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
