"""The cap of a log: its first quarter and its newest part are kept, whole chunks between them are dropped.

The gap is recorded in the task first, then its chunks are deleted. It begins and ends at a frame, and only
ever grows at its end, by an eighth of the cap at a time, so that a chatty task seldom changes its record.
A log is at most two chunks and a tail (5 MiB) above its cap.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from silkmill.domain.attempt import AttemptRef
from silkmill.domain.task import Task
from silkmill.master.logs.chunks import Chunk, list_chunks
from silkmill.ports.bucket import Bucket
from silkmill.ports.store import Store
from silkmill.protocol.logframe import TEXT_LIMIT

Gap = tuple[int, int]
Change = Callable[[str, Callable[[Task], Task | None]], Awaitable[Task]]
"""Read a task, decide, swap, and again on a conflict; None from the decision leaves it as it is."""

FRAME_BYTES = TEXT_LIMIT + 64
"""No frame is longer."""


def over_cap(task: Task, ref: AttemptRef, stored: int, cap: int) -> bool:
    return stored - _gap_bytes(_gap(task, ref)) > cap


async def drop_middle(
    store: Store, bucket: Bucket, change: Change, ref: AttemptRef, stored: int, cap: int
) -> None:
    """Record a wider gap and delete the chunks in it, also those a crash left behind."""
    task = await store.task(ref.task_id)
    chunks = await list_chunks(bucket, ref)
    if task is None or not over_cap(task, ref, stored, cap):
        return
    wider = wider_gap(chunks, _gap(task, ref), stored, cap)
    if wider is None:
        return
    at_frames = await _at_frames(bucket, chunks, wider, _gap(task, ref))
    gap = _gap(await change(ref.task_id, lambda task: _with_gap(task, ref, at_frames)), ref)
    if gap is not None:
        await bucket.delete([chunk.name for chunk in chunks if gap[0] <= chunk.start and chunk.end <= gap[1]])


def wider_gap(chunks: Sequence[Chunk], gap: Gap | None, stored: int, cap: int) -> Gap | None:
    """The gap, at chunk borders, that brings `stored` bytes of chunks down to seven eighths of the cap.

    None when there is nothing to drop: the chunk that ends the head and the last one always stay."""
    whole = [chunk for chunk in chunks if chunk.end <= stored]
    start = gap[0] if gap else min((chunk.end for chunk in whole if chunk.end >= cap // 4), default=stored)
    last = max((chunk.start for chunk in whole), default=0)
    kept_from = min(last, stored - (cap - cap // 8 - start))
    end = min((chunk.start for chunk in whole if chunk.start >= kept_from), default=0)
    return (start, end) if end > (gap[1] if gap else start) else None


async def _at_frames(bucket: Bucket, chunks: Sequence[Chunk], wider: Gap, gap: Gap | None) -> Gap:
    start, end = wider
    if gap is None:
        before = next(chunk for chunk in chunks if chunk.end == start)
        size = min(FRAME_BYTES, start - before.start)
        last = await bucket.get_range(before.name, start - before.start - size, size)
        start -= len(last) - (last.rfind(b"\n") + 1 or len(last))
    after = next(chunk for chunk in chunks if chunk.start == end)
    return start, end + (await bucket.get_range(after.name, 0, FRAME_BYTES)).find(b"\n") + 1


def _with_gap(task: Task, ref: AttemptRef, gap: Gap) -> Task | None:
    attempt = task.attempt
    if attempt is None or attempt.number != ref.number:
        return None  # closed meanwhile: its log stays as it is
    if attempt.log_gap is not None and attempt.log_gap[1] >= gap[1]:
        return None
    return replace(task, attempt=replace(attempt, log_gap=gap))


def _gap(task: Task, ref: AttemptRef) -> Gap | None:
    return task.attempt.log_gap if task.attempt and task.attempt.number == ref.number else None


def _gap_bytes(gap: Gap | None) -> int:
    return gap[1] - gap[0] if gap else 0
