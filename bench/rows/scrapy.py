"""Short Scrapy jobs, each in an interpreter of its own: from the submit until all have ended."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from bench.baselines import processes
from bench.baselines.scrapyd import scrapyd
from bench.comparison import Comparison
from bench.engine import SLOTS, BenchFailed, engine
from bench.rounds import Measure
from bench.shop import PRODUCTS, shop
from silkmill.client.folder import deploy_folder

PROJECT = Path(__file__).parents[1] / "shop_crawler"
SPIDER = "shop"
CRAWL = [sys.executable, "-m", "scrapy", "crawl", SPIDER]


class Scrapy:
    """Both keep the items of each job, and its log. Bare is `scrapy crawl` with the same two files and nobody
    who looks after it: what the jobs themselves take."""

    name = "scrapy"
    comparisons = (
        Comparison("short jobs, cold start", "jobs/s", "silkmill", "Scrapyd"),
        Comparison("short jobs, cold start", "jobs/s", "silkmill", "bare"),
    )

    def __init__(self, jobs: int = 24) -> None:
        self._jobs = jobs

    @contextmanager
    def measures(self, place: Path) -> Iterator[Sequence[Measure]]:
        numbers = count()
        with shop() as url, engine(place) as ours, scrapyd(_project(place / "scrapyd", url)) as theirs:
            deploy_folder(ours.client, _project(place / "silkmill", url))
            bare_project = _project(place / "bare", url)
            ours.run(SPIDER, SLOTS)
            theirs.run(SPIDER, SLOTS)

            def silkmill() -> Mapping[str, float]:
                seconds, ids = ours.run(SPIDER, self._jobs)
                _check(b"".join(ours.client.items(task_id)) for task_id in ids)
                return {"silkmill": self._jobs / seconds}

            def of_scrapyd() -> Mapping[str, float]:
                seconds, files = theirs.run(SPIDER, self._jobs)
                _check(file.read_bytes() for file in files)
                return {"Scrapyd": self._jobs / seconds}

            def bare() -> Mapping[str, float]:
                names = [f"{next(numbers)}" for _ in range(self._jobs)]
                commands = [[*CRAWL, "-o", f"{name}.jl", "--logfile", f"{name}.log"] for name in names]
                seconds = processes.run_commands(commands, SLOTS, bare_project)
                _check((bare_project / f"{name}.jl").read_bytes() for name in names)
                return {"bare": self._jobs / seconds}

            yield silkmill, of_scrapyd, bare


def _project(folder: Path, url: str) -> Path:
    """A copy of the project that crawls the site at `url`."""
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns("__pycache__"))
    with (folder / "crawl" / "settings.py").open("a") as settings:
        settings.write(f"SHOP_URL = {url!r}\n")
    return folder


def _check(outputs: Iterable[bytes]) -> None:
    for items in outputs:
        if (number := items.count(b"\n")) != PRODUCTS:
            raise BenchFailed(f"a job gave {number} items of {PRODUCTS}")
