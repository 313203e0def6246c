"""A drain: what runs ends, what waits is not touched."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import threading
from pathlib import Path

from tests.engine.server import Server, spider_folder

SLEEPER = """
import sys, time
from pathlib import Path
print("begun", flush=True)
while not Path(sys.argv[1]).exists():
    time.sleep(0.01)
"""
PARAM = '[params.until]\ntype = "str"\n'


def test_no_task_is_offered_to_a_worker_that_drains(tmp_path: Path) -> None:
    with Server(tmp_path / "data", max_runners=2) as server:
        server.deploy(spider_folder(tmp_path, "sleeper", SLEEPER, PARAM, command="python main.py {until}"))
        short, long = (
            server.submit("sleeper", params={"until": str(tmp_path / name)}) for name in ("short", "long")
        )
        waiting = [server.submit("sleeper", params={"until": str(tmp_path / "long")}) for _ in range(3)]
        for task_id in (short, long):
            server.wait(task_id, "running")
        os.kill(server.pid, signal.SIGTERM)
        (tmp_path / "short").touch()
        server.wait(short, "finished")
        threading.Event().wait(2.5)  # a slot is free, the queue is not empty
        (tmp_path / "long").touch()
        assert server.process is not None and server.process.wait(30) == 0
        with sqlite3.connect(server.data / "silkmill.db") as database:
            rows = dict(database.execute("SELECT id, doc FROM tasks").fetchall())
        assert [json.loads(rows[task_id])["last_number"] for task_id in waiting] == [0, 0, 0]
