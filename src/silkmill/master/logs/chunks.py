"""Log chunks: the immutable objects that hold a log until it is merged, known by their names alone."""

from __future__ import annotations

import re
from dataclasses import dataclass

from silkmill.domain.attempt import AttemptRef
from silkmill.ports.bucket import Bucket

CHUNK_BYTES = 1024 * 1024
"""Tail and batch become a chunk when they are this long together."""

_CHUNK = re.compile(r".*/(\d+)-(\d+)").fullmatch


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes `start` to `end` of an attempt's log. Chunks may overlap; equal bytes are the same bytes."""

    name: str
    start: int
    end: int


def log_folder(ref: AttemptRef) -> str:
    return f"logs/{ref.task_id}/{ref.number}/"


def chunk_name(ref: AttemptRef, start: int, length: int) -> str:
    """Padded, so that names in text order are in log order."""
    return f"{log_folder(ref)}{start:016}-{length}"


async def list_chunks(bucket: Bucket, ref: AttemptRef) -> list[Chunk]:
    """By start. Some may reach beyond what is stored: those bytes do not exist."""
    chunks = []
    for name in await bucket.names(log_folder(ref)):
        if found := _CHUNK(name):
            start = int(found[1])
            chunks.append(Chunk(name, start, start + int(found[2])))
    return sorted(chunks, key=lambda chunk: (chunk.start, chunk.end))
