"""What status.json says of an attempt, as far as it has a meaning: a spider may have written there too."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import msgspec

from silkmill.domain.statistics import Statistics
from silkmill.protocol.attemptdir import read_status

STATUS_BYTES = 16 * 1024
"""A STATUS message that is longer, as it was sent, is not shown."""
_MOST = 2**53


@dataclass(frozen=True, slots=True)
class Told:
    """`now`: what a running attempt tells; `peaks`: the same with the most memory and processes it ever had.
    `status`: the latest STATUS message, the JSON that the spider sent."""

    now: Statistics = Statistics()
    peaks: Statistics = Statistics()
    status: str | None = None


_SILENT = Told(Statistics(errors=0), Statistics(errors=0))
"""The runner has recorded nothing: there was nothing."""


class _Status(msgspec.Struct):
    """As much of it as we read; an older runner has written less."""

    status: msgspec.Raw = msgspec.Raw(b"null")
    progress: Any = None
    errors: Any = None
    log_lines: Any = None
    usage: Any = None


def told(directory: str) -> Told:
    """As its runner recorded it, half a second ago or less; of an older runner the less."""
    try:
        text = read_status(directory)
        return _SILENT if text is None else _told(_decode(text))
    except (OSError, msgspec.DecodeError, RecursionError):
        return Told()


_decode = msgspec.json.Decoder(_Status).decode


def _told(value: _Status) -> Told:
    usage: dict[str, Any] = value.usage if isinstance(value.usage, dict) else {}
    now = Statistics(
        progress=_number(value.progress, 1),
        errors=_count(value.errors),
        log_lines=_count(value.log_lines),
        rss_bytes=_count(usage.get("rss_bytes")),
        cpu_seconds=_number(usage.get("cpu_seconds"), _MOST),
        processes=_count(usage.get("processes")),
        read_bytes=_count(usage.get("read_bytes")),
        written_bytes=_count(usage.get("written_bytes")),
    )
    most = _count(usage.get("max_rss_bytes")), _count(usage.get("max_processes"))
    peaks = replace(now, rss_bytes=most[0], processes=most[1])
    return Told(now, peaks, _status(bytes(value.status)))


def _status(sent: bytes) -> str | None:
    """Every digit and escape of it: whoever reads it may have other numbers than we."""
    if not sent.startswith(b"{") or len(sent) > STATUS_BYTES:
        return None
    try:
        return sent.decode()
    except UnicodeDecodeError:
        return None


def _number(value: object, most: int) -> float | None:
    return float(value) if isinstance(value, int | float) and _in(value, most) else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and _in(value, _MOST) else None


def _in(value: float, most: int) -> bool:
    return not isinstance(value, bool) and 0 <= value <= most
