"""Killing what an engine left running: runners, and every process below them."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

from silkmill.runner.processes import descendants, kill_process, start_time

KILL_SECONDS = 10.0


def kill_runners(data: Path) -> list[int]:
    """Kill each live runner of the data directory with its spider's tree; answers with their pids."""
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    killed = []
    for file in sorted(data.glob("runners/*/runner.json")):
        try:
            runner = json.loads(file.read_bytes())
            pid, since, boot = int(runner["pid"]), int(runner["start_time"]), runner["boot_id"]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # it ended meanwhile, or never got so far
        if boot == boot_id and start_time(pid) == since:
            _kill_tree(pid, since)
            killed.append(pid)
    return killed


def _kill_tree(runner: int, since: int) -> None:
    """The runner is held still first: it must not record an outcome that its spider did not come to, and as a
    subreaper it keeps every process of the tree below it until the last one is dead."""
    os.kill(runner, signal.SIGSTOP)
    deadline = time.monotonic() + KILL_SECONDS
    while (left := descendants(runner)) and time.monotonic() < deadline:
        for pid, started in left.items():
            kill_process(pid, started)
        time.sleep(0.01)
    kill_process(runner, since)
