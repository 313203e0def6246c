"""A node: a machine that runs spiders, and the session its agent holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Node:
    """The node record. A lease belongs to `session`; a new registration makes a new one."""

    id: str
    name: str
    session: str
    max_runners: int
    boot_id: str
    registered_at: datetime
    embedded: bool = False
    """The agent inside `silkmill up` on its own store, which has one such node; never judged."""
    beat: int = 0
    lost: bool = False
    labels: dict[str, str] = field(default_factory=dict)
