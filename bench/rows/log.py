"""A flood of log lines: from the spider until all of it is durable."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench import producer
from bench.comparison import Comparison
from bench.engine import BenchFailed, Engine, engine
from bench.rounds import Measure

MEBIBYTE = 1 << 20
LINE_BYTES = 100


class Log:
    name = "log"
    comparisons = (
        Comparison(
            "100-byte lines → durable", "MiB/s", "silkmill", "cat > file; sync", at_least=0.15, aim=0.4
        ),
    )

    def __init__(self, mebibytes: int = 512) -> None:
        self._lines = mebibytes * MEBIBYTE // LINE_BYTES // producer.BLOCK * producer.BLOCK
        self._mebibytes = self._lines * LINE_BYTES / MEBIBYTE

    @contextmanager
    def measures(self, place: Path) -> Iterator[Sequence[Measure]]:
        program = [sys.executable, "-I", "-S", producer.__file__, "lines", str(self._lines)]
        with engine(place) as ours:
            ours.deploy("lines", program, toml='[limits]\nlog = "4GiB"\n')

            def silkmill() -> Mapping[str, float]:
                seconds, (task_id,) = ours.run("lines")
                self._check_complete(ours, task_id)
                return {"silkmill": self._mebibytes / seconds}

            def cat() -> Mapping[str, float]:
                return {"cat > file; sync": self._mebibytes / _write_by_cat(program, place / "lines.log")}

            yield silkmill, cat

    def _check_complete(self, ours: Engine, task_id: str) -> None:
        size = sum(map(len, ours.client.log(task_id, stream="stdout", raw=True)))
        if size != self._lines * LINE_BYTES:
            raise BenchFailed(f"{size} bytes of {self._lines * LINE_BYTES} are in the log")


def _write_by_cat(program: list[str], path: Path) -> float:
    start = time.perf_counter()
    with path.open("wb") as file:
        producing = subprocess.Popen(program, stdout=subprocess.PIPE)
        subprocess.run(["cat"], stdin=producing.stdout, stdout=file, check=True)
        producing.wait()
        os.fsync(file.fileno())  # its best: a bare `sync` would also write what others have dirtied
    seconds = time.perf_counter() - start
    path.unlink()
    return seconds
