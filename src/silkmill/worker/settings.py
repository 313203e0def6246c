"""What a user may choose about a worker."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """`spool_bytes` is per attempt; `embedded` marks the worker inside `silkmill up`.

    `cache_bytes`: how much of the files of versions is kept for later attempts. `environments_bytes`,
    `environments_seconds`: how much of environments, and how long one that nobody uses.
    `drain_seconds`: how long a drain waits before it stops the spiders. `kept_seconds`: how long the
    directory of a failed attempt is kept."""

    name: str
    max_runners: int = 4
    containment: Literal["auto", "walk"] = "auto"
    spool_bytes: int = 1 << 30
    cache_bytes: int = 10 << 30
    environments_bytes: int = 20 << 30
    environments_seconds: float = 30 * 86400.0
    labels: dict[str, str] = field(default_factory=dict)
    embedded: bool = False
    drain_seconds: float = 600.0
    kept_seconds: float = 24 * 3600.0
