"""What status.json says of an attempt is taken only where it has a meaning."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from silkmill.domain.statistics import Statistics
from silkmill.worker.told import STATUS_BYTES, Told, told


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, (None, 0)),
        ('{"status":{},"progress":0.5,"errors":3,"bad_frames":0,"at":""}', (0.5, 3)),
        ('{"status":null,"progress":null,"errors":0}', (None, 0)),
        ('{"status":null,"errors":1}', (None, 1)),
        ('{"progress":7,"errors":-1}', (None, None)),
        ('{"progress":NaN,"errors":1e99}', (None, None)),
        ('{"progress":true,"errors":true}', (None, None)),
        ('{"progress":"0.5","errors":' + "9" * 5000 + "}", (None, None)),
        ("[1]", (None, None)),
        ("{", (None, None)),
        ('{"errors":1,"status":' + "[" * 50_000 + "]" * 50_000 + "}", (None, None)),
        ("\xff", (None, None)),
    ],
)
def test_progress_and_errors(
    tmp_path: Path, text: str | None, expected: tuple[float | None, int | None]
) -> None:
    if text is not None:
        (tmp_path / "status.json").write_text(text, "latin-1")
    said = told(str(tmp_path)).now
    assert (said.progress, said.errors) == expected


USAGE = {
    "rss_bytes": 10,
    "processes": 2,
    "cpu_seconds": 0.5,
    "read_bytes": 3,
    "written_bytes": 4,
    "max_rss_bytes": 20,
    "max_processes": 5,
}


def told_of(folder: Path, **value: object) -> Told:
    (folder / "status.json").write_text(json.dumps(value))
    return told(str(folder))


def test_all_that_a_runner_records(tmp_path: Path) -> None:
    said = told_of(
        tmp_path,
        status={"n": 1},
        progress=0.25,
        errors=1,
        bad_frames=0,
        log_lines=9,
        items=3,
        usage=USAGE,
        at="",
    )
    assert said.now == Statistics(0.25, 1, 9, 10, 0.5, 2, 3, 4)
    assert said.peaks == Statistics(0.25, 1, 9, 20, 0.5, 5, 3, 4)
    assert said.status == '{"n":1}'


def test_an_older_runner_records_less(tmp_path: Path) -> None:
    said = told_of(tmp_path, status={"n": 1}, progress=0.25, errors=1, bad_frames=0, at="")
    assert said.now == said.peaks == Statistics(0.25, 1)
    assert said.status == '{"n":1}'


def test_what_could_not_be_seen_is_not_known(tmp_path: Path) -> None:
    said = told_of(tmp_path, errors=1, usage=USAGE | {"read_bytes": None, "written_bytes": None})
    assert said.now == Statistics(errors=1, rss_bytes=10, cpu_seconds=0.5, processes=2)
    assert said.peaks == Statistics(errors=1, rss_bytes=20, cpu_seconds=0.5, processes=5)


@pytest.mark.parametrize("usage", [None, 7, [], {"rss_bytes": -1, "cpu_seconds": "1", "processes": True}])
def test_a_usage_without_meaning_is_not_known(tmp_path: Path, usage: object) -> None:
    assert told_of(tmp_path, errors=2, usage=usage).now == Statistics(errors=2)


@pytest.mark.parametrize(
    "status",
    [None, 7, [1], {"n": float("nan")}, {"n": float("inf")}, {"text": "x" * STATUS_BYTES}],
    ids=["none", "number", "list", "nan", "infinity", "long"],
)
def test_a_status_that_is_no_object_or_too_long_is_left_out(tmp_path: Path, status: object) -> None:
    said = told_of(tmp_path, status=status, errors=2)
    assert (said.status, said.now.errors) == (None, 2)


def test_a_folder_in_the_way_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "status.json").mkdir()
    assert told(str(tmp_path)) == Told()
