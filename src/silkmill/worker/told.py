"""What status.json says of an attempt, as far as it has a meaning: a spider may have written there too."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from silkmill.domain.statistics import Statistics
from silkmill.protocol.attemptdir import read_status

STATUS_BYTES = 16 * 1024
"""A longer STATUS message is not shown."""
_MOST = 2**53


@dataclass(frozen=True, slots=True)
class Told:
    """`now`: what a running attempt tells; `peaks`: the same with the most memory and processes it ever had.
    `status`: the latest STATUS message, as JSON."""

    now: Statistics = Statistics()
    peaks: Statistics = Statistics()
    status: str | None = None


_SILENT = Told(Statistics(errors=0), Statistics(errors=0))
"""The runner has recorded nothing: there was nothing."""


def told(directory: str) -> Told:
    """As its runner recorded it, half a second ago or less; of an older runner the less."""
    try:
        value: object = read_status(directory)
    except (OSError, ValueError, RecursionError):
        return Told()
    if value is None:
        return _SILENT
    return _told(value) if isinstance(value, dict) else Told()


def _told(value: dict[str, Any]) -> Told:
    used = value.get("usage")
    usage: dict[str, Any] = used if isinstance(used, dict) else {}
    now = Statistics(
        progress=_number(value.get("progress"), 1),
        errors=_count(value.get("errors")),
        log_lines=_count(value.get("log_lines")),
        rss_bytes=_count(usage.get("rss_bytes")),
        cpu_seconds=_number(usage.get("cpu_seconds"), _MOST),
        processes=_count(usage.get("processes")),
        read_bytes=_count(usage.get("read_bytes")),
        written_bytes=_count(usage.get("written_bytes")),
    )
    most = _count(usage.get("max_rss_bytes")), _count(usage.get("max_processes"))
    peaks = replace(now, rss_bytes=most[0], processes=most[1])
    return Told(now, peaks, _status(value.get("status")))


def _status(value: object) -> str | None:
    try:
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    except (ValueError, RecursionError):
        return None
    return text if isinstance(value, dict) and len(text) <= STATUS_BYTES else None


def _number(value: object, most: int) -> float | None:
    return float(value) if isinstance(value, int | float) and _in(value, most) else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and _in(value, _MOST) else None


def _in(value: float, most: int) -> bool:
    return not isinstance(value, bool) and 0 <= value <= most
