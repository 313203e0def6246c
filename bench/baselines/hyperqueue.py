"""HyperQueue's local cluster with 4 CPUs, in a process of its own: `python -m bench.baselines.hyperqueue`.

Each line of stdin is a number of `/bin/true` tasks, run as one job; the answer is a line `took SECONDS`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig

CPUS = 4
POLL_SECONDS = 0.005


@contextmanager
def cluster(place: Path) -> Iterator[Callable[[int], float]]:
    """A function that runs so many tasks and gives the seconds it took; the cluster stays up between."""
    place.mkdir()
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.baselines.hyperqueue"],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )

    def run(tasks: int) -> float:
        assert process.stdin and process.stdout
        process.stdin.write(f"{tasks}\n")
        process.stdin.flush()
        for line in process.stdout:  # the cluster's own tables come first
            if line.startswith("took "):
                return float(line.split()[1])
        raise RuntimeError(f"HyperQueue ended with {process.wait()}")

    try:
        run(1)
        yield run
    except BaseException:
        process.kill()  # all of the cluster is in it, and it may wait for a worker that a signal has ended
        raise
    finally:
        process.communicate()


def serve() -> None:
    with LocalCluster() as local:
        local.start_worker(WorkerConfig(cores=CPUS))
        client = local.client()
        for line in sys.stdin:
            print("took", run_job(client, int(line)), flush=True)


def run_job(client: Any, tasks: int) -> float:
    job = Job(max_fails=None)
    for _ in range(tasks):
        job.program(["/bin/true"], stdout=None, stderr=None)
    start = time.perf_counter()
    submitted = client.submit(job)
    while not is_complete(client, submitted.id):
        time.sleep(POLL_SECONDS)
    seconds = time.perf_counter() - start
    client.forget(submitted)
    return seconds


class Looked(Exception):
    """Leaves HyperQueue's own wait after its first look: it would sleep a second between two."""


def is_complete(client: Any, job: int) -> bool:
    seen: list[dict[str, Any]] = []

    def look(jobs: dict[int, dict[str, Any]]) -> None:
        seen.extend(jobs.values())
        raise Looked

    with suppress(Looked):
        client.connection.wait_for_jobs((job,), look)
    return bool(seen) and all(status["finished"] == status["total"] for status in seen)


if __name__ == "__main__":
    serve()
