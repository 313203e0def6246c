"""What a spider told about itself and what it used, as far as somebody has counted it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Statistics:
    """None: not known. Bytes, seconds; `progress` from 0 to 1, `log_lines` as they are stored.

    `rss_bytes` is the peak of the largest process, `cpu_seconds` the sum over all of them."""

    progress: float | None = None
    errors: int | None = None
    log_lines: int | None = None
    rss_bytes: int | None = None
    cpu_seconds: float | None = None
