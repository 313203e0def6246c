"""What a spider told about itself and what it used, as far as somebody has counted it."""

from __future__ import annotations

from dataclasses import dataclass

from silkmill.domain.pace import Counts


@dataclass(frozen=True, slots=True)
class Statistics:
    """None: not known. Bytes, seconds; `progress` from 0 to 1, `log_lines` as they are stored.

    `rss_bytes` and `processes` are of the whole process tree: of a running attempt now, of an ended one the
    most there ever was. The others are sums since the start, over the tree too."""

    progress: float | None = None
    errors: int | None = None
    log_lines: int | None = None
    rss_bytes: int | None = None
    cpu_seconds: float | None = None
    processes: int | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Live:
    """The latest of an open attempt; `counts`: its items over the last minute."""

    statistics: Statistics = Statistics()
    counts: Counts = ()
