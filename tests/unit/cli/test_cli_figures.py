"""The numbers of a task in words: what is not known is left out."""

from __future__ import annotations

import pytest

from silkmill.cli.figures import figures, percent
from silkmill.cli.text import size

KNOWN = {
    "wait_ms": 500,
    "runtime_ms": 75_000,
    "items": 120,
    "items_per_minute": 96.0,
    "errors": 2,
    "log_lines": 1204,
    "log_bytes": 34_000,
    "rss_bytes": 52 << 20,
    "cpu_seconds": 12.4,
    "processes": 3,
    "read_bytes": 1_300_000,
    "written_bytes": 0,
}


def test_what_is_known_is_told() -> None:
    assert dict(figures(KNOWN)) == {
        "time": "waited 0.5s, ran 1m15s",
        "output": "items 120 (96 a minute), errors 2, log lines 1204, log 33.2 KiB",
        "used": "memory 52.0 MiB, processes 3, CPU 12s, read 1.2 MiB, written 0 B",
    }


def test_what_is_not_known_is_left_out() -> None:
    waiting = dict.fromkeys(KNOWN) | {"wait_ms": 100, "items": 0, "log_bytes": 0}
    assert dict(figures(waiting)) == {"time": "waited 0.1s", "output": "items 0, log 0 B"}


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (5 << 30, "5.0 GiB"),
        (1 << 53, "8192.0 TiB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


def test_progress_is_a_percentage() -> None:
    assert [percent(value) for value in (None, 0.0, 0.254, 1.0)] == [None, "0%", "25%", "100%"]
