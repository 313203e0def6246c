"""Many tiny tasks: one bulk call until the last of them is finished and durable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.baselines import processes
from bench.baselines.hyperqueue import cluster
from bench.comparison import Comparison
from bench.engine import SLOTS, engine
from bench.rounds import Measure


class Tasks:
    name = "tasks"
    comparisons = (
        Comparison("tasks of /bin/true", "tasks/s", "silkmill", "HyperQueue", at_least=0.7, aim=1.5),
        Comparison("tasks of /bin/true", "tasks/s", "silkmill", "Popen loop", at_least=0.2, aim=0.5),
    )

    def __init__(self, tasks: int = 2_000) -> None:
        self._tasks = tasks

    @contextmanager
    def measures(self, place: Path) -> Iterator[Sequence[Measure]]:
        with engine(place) as ours, cluster(place / "hyperqueue") as run_job:
            ours.deploy("true", ["/bin/true"])
            ours.run("true", SLOTS)  # both sides have their workers up

            def silkmill() -> Mapping[str, float]:
                return {"silkmill": self._tasks / ours.run("true", self._tasks)[0]}

            def hyperqueue() -> Mapping[str, float]:
                return {"HyperQueue": self._tasks / run_job(self._tasks)}

            def popen() -> Mapping[str, float]:
                return {"Popen loop": self._tasks / processes.run_many(self._tasks, SLOTS)}

            yield silkmill, hyperqueue, popen
