"""The engine's own log tells what the engine did: starts, adoptions, drains."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.engine.server import Server, spider_folder


def test_starts_adoptions_and_drains_are_told(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Server(data) as server:
        server.deploy(spider_folder(tmp_path, "sleeps", "import time\ntime.sleep(600)\n"))
        task_id = server.submit("sleeps")
        server.wait(task_id, "running")
        server.kill()
        server.start()
        server.wait(task_id, "running")
        server.call("POST", f"/tasks/{task_id}/cancel", {"force": True})
        server.wait(task_id, "cancelled")
        assert server.stop() == 0
    command = [sys.executable, "-m", "silkmill", "logs", "--system", "--json", "--data", str(data)]
    lines = subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()
    events = [json.loads(line)["event"] for line in lines]
    started, adopted, left = (
        "the engine has started",
        "attempts of an earlier agent go on",
        "the engine leaves",
    )
    told = [event for event in events if event in (started, adopted, "draining", left)]
    assert told == [started, started, adopted, "draining", left]
