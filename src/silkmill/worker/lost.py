"""An attempt whose runner died: its tree is killed, its files are made whole, its facts are ours to state."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from silkmill.domain.attempt import AttemptRef
from silkmill.domain.outcome import Facts
from silkmill.protocol.attemptdir import (
    OUTCOME_FILE,
    UNFINISHED,
    BadSpec,
    append_log,
    count_log_lines,
    read_spec,
    repair_tails,
    stream_size,
)
from silkmill.protocol.logframe import system_line
from silkmill.worker.disk import when_there_is_room
from silkmill.worker.told import told
from silkmill.worker.trees import Remains, TreeEnd, end_tree
from silkmill.worker.workplace import Workplace


def has_begun(directory: Path) -> bool:
    """Whether a runner took the attempt: it reserves the space of the outcome before it starts anything.

    Empty files are left by the attempt that had the directory before."""
    reserved = directory / (OUTCOME_FILE + UNFINISHED)
    if (directory / OUTCOME_FILE).exists() or (reserved.exists() and reserved.stat().st_size > 0):
        return True
    said = stream_size(str(directory), "log") > _head_size(directory)
    return said or stream_size(str(directory), "items") > 0


async def end_lost(ref: AttemptRef, place: Workplace, remains: Remains, *, with_worker: bool) -> Facts:
    """Kill, verify, repair, and say so in the log.

    The facts lack what only the stored streams tell: the number of items."""
    directory = place.directory_of(ref)
    end = await end_tree_of(ref, place, remains)
    whose = "its worker" if with_worker else "its runner"
    await when_there_is_room(lambda: _make_whole(directory, f"lost: {whose} died; {_fate(end)}"))
    last = told(str(directory))
    return Facts(
        ended_at=place.clock.now(),
        started=True,
        lost=not with_worker,
        lost_with_worker=with_worker,
        verified=end.verified,
        survivors=end.survivors,
        log_size=stream_size(str(directory), "log"),
        items_size=stream_size(str(directory), "items"),
        progress=last.peaks.progress,
        errors=last.peaks.errors,
        log_lines=count_log_lines(str(directory)),
        max_rss_bytes=last.peaks.rss_bytes,
        max_processes=last.peaks.processes,
        cpu_seconds=last.peaks.cpu_seconds,
        read_bytes=last.peaks.read_bytes,
        written_bytes=last.peaks.written_bytes,
        status=last.status,
    )


async def end_tree_of(ref: AttemptRef, place: Workplace, remains: Remains) -> TreeEnd:
    """Kill what is left of an attempt that no runner holds."""
    nonce = _nonce(place.directory_of(ref))
    return await asyncio.to_thread(end_tree, ref, nonce, remains)


def _fate(end: TreeEnd) -> str:
    if end.survivors:
        return f"still alive: {' '.join(map(str, end.survivors))}"
    if end.verified:
        return "its processes were killed"
    return "those of its processes that could be found were killed"


def _make_whole(directory: Path, closing_line: str) -> None:
    repair_tails(str(directory))
    append_log(str(directory), system_line(closing_line, time.time_ns()))


def _head_size(directory: Path) -> int:
    try:
        return read_spec(str(directory))["log_size"]
    except BadSpec:
        return 0


def _nonce(directory: Path) -> str:
    try:
        return read_spec(str(directory))["nonce"]
    except BadSpec:
        return ""
