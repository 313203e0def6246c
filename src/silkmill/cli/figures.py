"""The numbers of a task in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from silkmill.cli.text import size, span

Stats = dict[str, Any]


def percent(progress: float | None) -> str | None:
    return None if progress is None else f"{progress * 100:.0f}%"


def figures(stats: Stats) -> Iterator[tuple[str, str]]:
    """Headings with what is known, of `stats` as the API gives them."""
    for heading, parts in (("time", _time), ("output", _output), ("used", _used)):
        if words := ", ".join(parts(stats)):
            yield heading, words


def _time(stats: Stats) -> Iterator[str]:
    yield f"waited {span(stats['wait_ms'] / 1000)}"
    if stats["runtime_ms"] is not None:
        yield f"ran {span(stats['runtime_ms'] / 1000)}"


def _output(stats: Stats) -> Iterator[str]:
    pace = stats["items_per_minute"]
    yield f"items {stats['items']}" + ("" if pace is None else f" ({pace:g} a minute)")
    if stats["errors"] is not None:
        yield f"errors {stats['errors']}"
    if stats["log_lines"] is not None:
        yield f"log lines {stats['log_lines']}"
    yield f"log {size(stats['log_bytes'])}"


def _used(stats: Stats) -> Iterator[str]:
    if stats["rss_bytes"] is not None:
        yield f"memory {size(stats['rss_bytes'])}"
    if stats["processes"] is not None:
        yield f"processes {stats['processes']}"
    if stats["cpu_seconds"] is not None:
        yield f"CPU {span(stats['cpu_seconds'])}"
    if stats["read_bytes"] is not None:
        yield f"read {size(stats['read_bytes'])}"
    if stats["written_bytes"] is not None:
        yield f"written {size(stats['written_bytes'])}"
