"""A project: the spiders of one team, and how much of the engine they may use together."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Project:
    """A project without a record has no limit. `max_concurrency`: tasks at once; 0 is no limit."""

    name: str
    max_concurrency: int = 0
