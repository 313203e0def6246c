"""Tail records put together: which bytes of a log the store holds itself."""

from __future__ import annotations

from collections.abc import Sequence

from silkmill.ports.store import TailRecord


def join_tail(records: Sequence[TailRecord], start: int, end: int) -> bytes | None:
    """Bytes `start` to `end` of the log out of its tail records, or None where one is missing."""
    pieces = []
    position = start
    for record in sorted(records, key=lambda record: record.offset):
        if record.offset <= position < min(end, record.offset + len(record.data)):
            piece = record.data[position - record.offset : end - record.offset]
            pieces.append(piece)
            position += len(piece)
    return b"".join(pieces) if position == end else None


def tail_start(records: Sequence[TailRecord], stored: int) -> int:
    """Where the run of tail records begins that ends at `stored`; `stored` itself when there is none.

    Records may be left over from before the last chunk, and may reach beyond what is stored."""
    start = stored
    for record in sorted(records, key=lambda record: record.offset, reverse=True):
        if record.offset < start <= record.offset + len(record.data):
            start = record.offset
    return start
