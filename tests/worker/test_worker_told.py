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
    assert said.status == '{"n": 1}'


def test_an_older_runner_records_less(tmp_path: Path) -> None:
    said = told_of(tmp_path, status={"n": 1}, progress=0.25, errors=1, bad_frames=0, at="")
    assert said.now == said.peaks == Statistics(0.25, 1)
    assert said.status == '{"n": 1}'


def test_what_could_not_be_seen_is_not_known(tmp_path: Path) -> None:
    said = told_of(tmp_path, errors=1, usage=USAGE | {"read_bytes": None, "written_bytes": None})
    assert said.now == Statistics(errors=1, rss_bytes=10, cpu_seconds=0.5, processes=2)
    assert said.peaks == Statistics(errors=1, rss_bytes=20, cpu_seconds=0.5, processes=5)


@pytest.mark.parametrize("usage", [None, 7, [], {"rss_bytes": -1, "cpu_seconds": "1", "processes": True}])
def test_a_usage_without_meaning_is_not_known(tmp_path: Path, usage: object) -> None:
    assert told_of(tmp_path, errors=2, usage=usage).now == Statistics(errors=2)


def told_with(folder: Path, status: bytes) -> Told:
    (folder / "status.json").write_bytes(b'{"status":%b,"errors":2}' % status)
    return told(str(folder))


def long(characters: int) -> bytes:
    """So many of three bytes each, with their quotes and braces."""
    return '{{"t":"{}"}}'.format("中" * characters).encode()


@pytest.mark.parametrize(
    "status",
    [
        b'{"n":1.10,"big":1e400,"many":%b}' % (b"7" * 6000),
        '{ "text" :\t"中é\\u00e9\\ud83d\\ude00" }'.encode(),
        b'{"n":1,"n":2}',
        b'{"deep":' + b"[" * 511 + b"]" * 511 + b"}",
        long(2048),
        long((STATUS_BYTES - 8) // 3),
    ],
    ids=["numbers", "text", "twice", "deep", "6 KiB", "the most"],
)
def test_a_status_is_told_as_it_was_sent(tmp_path: Path, status: bytes) -> None:
    said = told_with(tmp_path, status)
    assert (said.status, said.now.errors) == (status.decode(), 2)


@pytest.mark.parametrize(
    "status",
    [b"null", b"7", b"[1]", b'{"n":"\xff"}', long(STATUS_BYTES // 3)],
    ids=["none", "number", "list", "no UTF-8", "long"],
)
def test_a_status_that_is_no_object_or_too_long_is_left_out(tmp_path: Path, status: bytes) -> None:
    said = told_with(tmp_path, status)
    assert (said.status, said.now.errors) == (None, 2)


@pytest.mark.parametrize("status", [b"{", b'{"n":NaN}', b'{"n":Infinity}', b'{"n":01}', b'{"n":"\\ud800"}'])
def test_what_no_runner_writes_tells_nothing(tmp_path: Path, status: bytes) -> None:
    assert told_with(tmp_path, status) == Told()


def test_a_folder_in_the_way_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "status.json").mkdir()
    assert told(str(tmp_path)) == Told()
