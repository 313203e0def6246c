"""Bare processes and bare fsyncs: what the operating system alone costs."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from subprocess import DEVNULL, PIPE

BLOCK = bytes(4096)


def run_many(tasks: int, at_a_time: int) -> float:
    """Seconds of a `subprocess.Popen` loop over `/bin/true` with three pipes, so many at a time."""

    def loop(share: int) -> None:
        for _ in range(share):
            subprocess.Popen(["/bin/true"], stdin=PIPE, stdout=PIPE, stderr=PIPE).communicate()

    shares = [tasks // at_a_time + (number < tasks % at_a_time) for number in range(at_a_time)]
    start = time.perf_counter()
    with ThreadPoolExecutor(at_a_time) as pool:
        list(pool.map(loop, shares))
    return time.perf_counter() - start


def run_commands(commands: Sequence[Sequence[str]], at_a_time: int, folder: Path) -> float:
    """Seconds of these commands in that folder, so many at a time. Raises CalledProcessError."""

    def run(command: Sequence[str]) -> None:
        subprocess.run(command, cwd=folder, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, check=True)

    start = time.perf_counter()
    with ThreadPoolExecutor(at_a_time) as pool:
        list(pool.map(run, commands))
    return time.perf_counter() - start


def start_seconds(samples: int) -> float:
    """Median time until Popen has started a process."""
    taken = []
    for _ in range(samples):
        start = time.perf_counter()
        process = subprocess.Popen(["/bin/true"])
        taken.append(time.perf_counter() - start)
        process.wait()
    return median(taken)


def fsync_seconds(file: Path, samples: int) -> float:
    """Median time of an fsync after one more block was appended."""
    taken = []
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        for _ in range(samples):
            os.write(descriptor, BLOCK)
            start = time.perf_counter()
            os.fsync(descriptor)
            taken.append(time.perf_counter() - start)
    finally:
        os.close(descriptor)
    return median(taken)
