"""A submission of several tasks: the record that commits all of them at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Group:
    """Written before its tasks; `complete` once all of them are inserted. The body is a bucket object."""

    key: str
    body_sha256: str
    object_name: str
    count: int
    created_at: datetime
    complete: bool = False
    keyed: bool = False
    """Some line has a key: its task may be an older one."""
