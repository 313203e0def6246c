"""A runner that was started by an older version leaves files that lack what is new."""

from __future__ import annotations

from silkmill.domain.statistics import Statistics
from silkmill.runner.outcome import blank_outcome
from silkmill.worker.facts import facts_of

NEW = ("log_lines", "max_processes", "read_bytes", "written_bytes")


def test_its_outcome_is_understood() -> None:
    outcome = {name: value for name, value in blank_outcome().items() if name not in NEW}
    outcome |= {"ended_at": "2026-03-01T12:00:00Z", "max_rss_bytes": 4096, "cpu_seconds": 0.25}
    facts = facts_of(outcome, None)  # type: ignore[arg-type]
    assert facts.statistics == Statistics(errors=0, rss_bytes=4096, cpu_seconds=0.25)
