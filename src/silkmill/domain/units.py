"""Durations and sizes as people write them: `90s`, `15m`, `512MiB`."""

from __future__ import annotations

import re

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_BYTES |= {"kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)\Z")


def duration_seconds(text: str) -> float:
    """Seconds of `90s`, `1.5h`. Raises ValueError."""
    return _quantity(text, _SECONDS)


def size_bytes(text: str) -> int:
    """Bytes of `512MiB`, `1GB`. Raises ValueError."""
    return int(_quantity(text, _BYTES))


def _quantity(text: str, units: dict[str, float] | dict[str, int]) -> float:
    found = _QUANTITY.match(text.strip())
    if found is None or found[2] not in units:
        raise ValueError(f"{text!r} is not a number with one of the units {', '.join(units)}")
    return float(found[1]) * units[found[2]]
