"""Identifiers: time-ordered UUIDs (RFC 9562, version 7) made from given bits."""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime

LINES_PER_GROUP = 1 << 17


def uuid7(at: datetime, bits: bytes) -> str:
    """A UUIDv7 of the millisecond of `at`; `bits` are at least 10 bytes, random or derived."""
    milliseconds = int(at.timestamp() * 1000)
    rand_a = int.from_bytes(bits[:2], "big") & 0x0FFF
    rand_b = int.from_bytes(bits[2:10], "big") & ((1 << 62) - 1)
    return str(uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b))


def task_id_in_group(at: datetime, group: str, index: int) -> str:
    """The id of line `index` of a submission; the same for every repeat."""
    return uuid7(at, hashlib.sha256(f"{group}#{index}".encode()).digest())


def order_of(at: datetime, index: int = 0) -> int:
    """Sorts pending tasks of one priority: by millisecond of submission, then by line."""
    return int(at.timestamp() * 1000) * LINES_PER_GROUP + index
