"""Memory: the engine at rest, and what one more running task costs, the spider itself apart."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from bench.comparison import Comparison
from bench.engine import SLOTS, Engine, engine
from bench.rounds import Measure

KIBIBYTES_PER_MEBIBYTE = 1024


class Memory:
    """Proportional set sizes: a page that n processes share counts 1/n in each (proc(5), smaps_rollup)."""

    name = "memory"
    comparisons = (
        Comparison(
            "PSS of idle up", "MiB", "idle up", "bare interpreter", 160, 100, better="lower", bounds_on="ours"
        ),
        Comparison(
            "PSS a running task",
            "MiB",
            "running task",
            "bare interpreter",
            14,
            8,
            better="lower",
            bounds_on="ours",
        ),
    )

    @contextmanager
    def measures(self, place: Path) -> Iterator[Sequence[Measure]]:
        numbers = count()

        def silkmill() -> Mapping[str, float]:
            with engine(place, f"engine-{next(numbers)}") as ours:
                return _measure(ours)

        yield silkmill, _interpreter


def _measure(ours: Engine) -> Mapping[str, float]:
    up = ours.process.pid
    idle = pss([up, *ours.runner_pids()])
    ours.deploy(ours.data.name, ["sleep", "600"])
    ids = ours.client.submit_bulk([{"spider": ours.data.name}] * SLOTS)["ids"]
    ours.wait(
        lambda: all(ours.task(task_id)["stats"]["processes"] for task_id in ids)
    )  # its runner looks at it
    busy = pss([up, *ours.runner_pids()])
    for task_id in ids:
        ours.client.cancel(task_id, force=True)
    ours.wait(lambda: all(ours.task(task_id)["state"] == "cancelled" for task_id in ids))
    return {"idle up": idle, "running task": (busy - idle) / SLOTS}


def _interpreter() -> Mapping[str, float]:
    command = [sys.executable, "-I", "-S", "-c", "print(flush=True); input()"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    size = pss([process.pid])
    process.communicate(b"\n")
    return {"bare interpreter": size}


def pss(pids: Iterable[int]) -> float:
    """Mebibytes of these processes together."""
    return sum(_pss_kibibytes(pid) for pid in pids) / KIBIBYTES_PER_MEBIBYTE


def _pss_kibibytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise ValueError(f"no Pss of {pid}")
