"""An idle node: from the submit of a task until its process starts."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from bench.baselines import processes
from bench.comparison import Comparison
from bench.engine import Engine, engine
from bench.opened import Opened
from bench.rounds import Measure

FSYNCS = 3


class Start:
    name = "start"
    comparisons = (
        Comparison(
            "submit → started, p50",
            "ms",
            "silkmill",
            "Popen + 3 fsync",
            at_least=4,
            aim=2,
            better="lower",
        ),
    )

    def __init__(self, samples: int = 100) -> None:
        self._samples = samples

    @contextmanager
    def measures(self, place: Path) -> Iterator[Sequence[Measure]]:
        program = place / "program"
        shutil.copy("/bin/true", program)
        with engine(place) as ours, Opened(program) as opened:
            ours.deploy("start", [str(program)])
            ours.run("start")

            def silkmill() -> Mapping[str, float]:
                return {"silkmill": 1000 * median(_start_once(ours, opened) for _ in range(self._samples))}

            def bare() -> Mapping[str, float]:
                start = processes.start_seconds(self._samples)
                fsync = processes.fsync_seconds(place / "fsync", self._samples)
                return {"Popen + 3 fsync": 1000 * (start + FSYNCS * fsync)}

            yield silkmill, bare


def _start_once(ours: Engine, opened: Opened) -> float:
    """Seconds from the submit until the kernel opens the program to execute it; then waits for the end."""
    opened.forget()
    start = time.perf_counter()
    ours.client.submit({"spider": "start"})
    seconds = opened.wait() - start
    ours.wait_finished()
    return seconds
