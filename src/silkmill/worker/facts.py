"""The facts of an attempt as its runner recorded them, made values of the domain."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from silkmill.domain.outcome import Facts, Fatal, SpawnError

if TYPE_CHECKING:
    from silkmill.protocol.attemptdir import Outcome


def facts_of(outcome: Outcome, status: str | None) -> Facts:
    """outcome.json as a value of the domain, with the latest STATUS message."""
    spawn_error, fatal = outcome["spawn_error"], outcome["fatal"]
    return Facts(
        ended_at=datetime.fromisoformat(outcome["ended_at"]),
        started_at=datetime.fromisoformat(outcome["started_at"]) if outcome["started_at"] else None,
        started=outcome["started"],
        pid=outcome["pid"],
        exit_code=outcome["exit_code"],
        signal=outcome["signal"],
        signal_sender=outcome["signal_sender"],
        spawn_error=SpawnError(**spawn_error) if spawn_error else None,
        limit=outcome["limit"],
        cancelled=outcome["cancelled"],
        lost=outcome["lost"],
        verified=outcome["verified"],
        survivors=tuple(outcome["survivors"]),
        leftovers=outcome["leftovers"],
        traceback=outcome["traceback"],
        traceback_ends_stderr=outcome["traceback_ends_stderr"],
        fatal=Fatal(fatal["class"], fatal["message"]) if fatal else None,
        errors=outcome["errors"],
        bad_frames=outcome["bad_frames"],
        progress=outcome["progress"],
        log_size=outcome["log_size"],
        items_size=outcome["items_size"],
        items_count=outcome["items_count"],
        log_lines=outcome.get("log_lines"),  # the runner may be older than we are
        max_rss_bytes=outcome["max_rss_bytes"],
        max_processes=outcome.get("max_processes"),
        cpu_seconds=outcome["cpu_seconds"],
        read_bytes=outcome.get("read_bytes"),
        written_bytes=outcome.get("written_bytes"),
        status=status,
    )
