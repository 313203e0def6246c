"""Runners that outlived their engine: finding them, and killing them with every process below them."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from silkmill.runner.processes import descendants, kill_process, start_time

KILL_SECONDS = 10.0
LOOK_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class LivingRunner:
    """`task_id` is None while it is idle: then it ends by itself when no engine comes."""

    pid: int
    start_time: int
    task_id: str | None


def living_runners(data: Path) -> list[LivingRunner]:
    """The runners of the data directory that live, by slot."""
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    living = []
    for file in sorted(data.glob("runners/*/runner.json")):
        try:
            facts = json.loads(file.read_bytes())
            pid, since, boot = int(facts["pid"]), int(facts["start_time"]), facts["boot_id"]
            attempt = facts.get("attempt")
        except (OSError, ValueError, KeyError, TypeError):
            continue  # it ended meanwhile, or never got so far
        if boot == boot_id and start_time(pid) == since:
            living.append(LivingRunner(pid, since, _task_of(attempt) if attempt else None))
    return living


@dataclass(frozen=True, slots=True)
class KilledRunner:
    """`survivors`: processes of its tree that would not die."""

    runner: LivingRunner
    survivors: tuple[int, ...] = ()


def kill_runners(data: Path) -> list[KilledRunner]:
    """Kill each living runner of the data directory with its spider's tree; answers with what they were."""
    return [killed for runner in living_runners(data) if (killed := _kill_tree(runner)) is not None]


def _task_of(attempt_directory: str) -> str:
    return Path(attempt_directory).name.rpartition(".")[0]


def _kill_tree(runner: LivingRunner) -> KilledRunner | None:
    """The runner is held still first: it must not record an outcome that its spider did not come to, and as a
    subreaper it keeps every process of the tree below it until the last one is dead. None: it has ended by
    itself, while another one was killed."""
    if start_time(runner.pid) != runner.start_time:
        return None
    os.kill(runner.pid, signal.SIGSTOP)
    deadline = time.monotonic() + KILL_SECONDS
    while (left := descendants(runner.pid)) and time.monotonic() < deadline:
        for pid, started in left.items():
            kill_process(pid, started)
        time.sleep(LOOK_SECONDS)
    if not kill_process(runner.pid, runner.start_time):
        return None
    return KilledRunner(runner, tuple(sorted(left)))
