"""A guard against a slow engine: the cheapest row of the bench, with a margin that a busy machine does not
use up; and the table that people and scripts read."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path

import pytest
from bench import table
from bench.comparison import Comparison, Reached
from bench.engine import engine
from bench.rounds import Result, measure
from bench.rows.redeploy import Redeploy
from bench.rows.tasks import Tasks

LEAST_RATIO = 0.15
"""Of HyperQueue, which a busy machine slows as much as us; `make bench` asks for 0.7."""


def test_tiny_tasks_keep_their_distance_to_hyperqueue(tmp_path: Path) -> None:
    result = measure(Tasks(tasks=300), 3, tmp_path)
    beside_hyperqueue = result.row.comparisons[0]
    assert beside_hyperqueue.ratio(result.medians) >= LEAST_RATIO, result.values


def test_a_redeploy_sends_one_changed_file_and_little_else(tmp_path: Path) -> None:
    """Bytes are the same on every machine, so the bounds are those of `make bench`."""
    result = measure(Redeploy(files=100), 1, tmp_path)
    reached = [one.reached(result.medians) for one in result.row.comparisons]
    assert reached == [Reached.AT_LEAST, Reached.AT_LEAST, Reached.NOT_ASKED, Reached.NOT_ASKED], (
        result.values
    )


def test_an_interrupted_row_leaves_no_process(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), engine(tmp_path) as ours:
        ours.deploy("long", ["sleep", "600"])
        (task_id,) = ours.client.submit_bulk([{"spider": "long"}])["ids"]
        ours.wait(lambda: ours.task(task_id)["state"] == "running")
        assert any("sleep" in command for command in commands_of(tmp_path))
        raise KeyboardInterrupt
    assert commands_of(tmp_path) == []


def commands_of(place: Path) -> list[str]:
    """Of the processes that work below `place`, or name it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if str(place) in command or (process / "cwd").readlink().is_relative_to(place):
                found.append(command)
    return found


def test_the_table_shows_ratios_bounds_and_what_is_reached() -> None:
    row = Tasks()
    result = Result(row, {"silkmill": [90, 660, 70_000], "HyperQueue": [500], "Popen loop": [5_000]})
    lines = table.as_lines([result])
    assert re.search(
        r"660 tasks/s +500 tasks/s \(HyperQueue\) +1\.32x +≥ 0\.7x +≥ 1\.5x +at least$", lines[1]
    )
    assert re.search(r"0\.13x +≥ 0\.2x +≥ 0\.5x +NO$", lines[2])
    first, _ = json.loads(json.dumps(table.as_values([result])))
    assert (first["ratio"], first["reached"], first["rounds"]["silkmill"]) == (
        1.32,
        "at least",
        [90, 660, 70_000],
    )


def test_bounds_on_our_own_figure_where_less_is_better() -> None:
    memory = Comparison("PSS", "MiB", "ours", "bare", 160, 100, better="lower", bounds_on="ours")
    reached = {size: memory.reached({"ours": size, "bare": 3}) for size in (100, 101, 160, 161)}
    assert reached == {100: Reached.AIM, 101: Reached.AT_LEAST, 160: Reached.AT_LEAST, 161: Reached.NO}
    assert memory.bound(160) == "≤ 160 MiB"


def test_without_bounds_nothing_is_judged() -> None:
    shown = Comparison("jobs", "jobs/s", "ours", "theirs")
    assert shown.reached({"ours": 3, "theirs": 2}) is Reached.NOT_ASKED
    assert (shown.bound(shown.at_least), shown.bound(shown.aim)) == ("-", "-")
    asked = Comparison("bytes", "B", "ours", "theirs", at_least=1.2, better="lower")
    reached = [asked.reached({"ours": size, "theirs": 100}) for size in (1, 120, 121)]
    assert reached == [Reached.AT_LEAST, Reached.AT_LEAST, Reached.NO]
