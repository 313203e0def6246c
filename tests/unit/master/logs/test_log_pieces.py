"""The small decisions of log storage: where the tail begins, which middle goes, what an object looks like."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from silkmill.adapters.bucket import memory_bucket
from silkmill.domain.attempt import AttemptRef
from silkmill.master.logs.cap import wider_gap
from silkmill.master.logs.chunks import Chunk, chunk_name, list_chunks
from silkmill.master.logs.encoder import FEW_BYTES, encode
from silkmill.master.logs.merged import MergedLog
from silkmill.master.logs.tail import join_tail, tail_start
from silkmill.ports.store import TailRecord
from silkmill.protocol.logframe import frame_line

REF = AttemptRef("0197f000-0000-7000-8000-000000000001", 3)
BYTES = bytes(range(200))


def _record(start: int, end: int) -> TailRecord:
    return TailRecord(start, BYTES[start:end])


@pytest.mark.parametrize(
    ("records", "stored", "start"),
    [
        ([], 50, 50),
        ([(0, 20), (20, 50)], 50, 0),
        ([(0, 20), (30, 50)], 50, 30),  # left over from before a chunk
        ([(0, 20)], 50, 50),
        ([(0, 20), (20, 60)], 50, 0),  # reaches beyond what is stored
        ([(0, 30), (20, 50), (50, 60)], 50, 0),
    ],
)
def test_where_the_tail_begins(records: list[tuple[int, int]], stored: int, start: int) -> None:
    assert tail_start([_record(*record) for record in records], stored) == start


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(1, 60)), max_size=12), st.integers(0, 150))
def test_the_tail_that_begins_there_can_be_joined(pieces: list[tuple[int, int]], stored: int) -> None:
    records = [_record(start, start + length) for start, length in pieces]
    start = tail_start(records, stored)
    assert join_tail(records, start, stored) == BYTES[start:stored]
    reaching = [record for record in records if record.offset < start <= record.offset + len(record.data)]
    assert not reaching, "it begins as early as it can"


def test_a_hole_in_the_tail_is_seen() -> None:
    records = [_record(0, 20), _record(30, 50)]
    assert join_tail(records, 0, 50) is None
    assert join_tail(records, 30, 50) == BYTES[30:50]
    assert join_tail([], 5, 5) == b""


def _chunks(*borders: int) -> list[Chunk]:
    return [Chunk(f"c{start}", start, end) for start, end in pairwise(borders)]


def test_which_middle_goes() -> None:
    chunks = _chunks(*range(0, 1001, 100))
    assert wider_gap(chunks, None, 1000, 800) == (200, 500), "a quarter of head, seven eighths in all"
    assert wider_gap(chunks, (200, 500), 1000, 800) is None
    assert wider_gap(chunks, (195, 610), 1000, 500) == (195, 800)
    assert wider_gap(chunks, None, 1000, 1) == (100, 900), "a chunk at each end stays"
    assert wider_gap(_chunks(0, 100), None, 100, 1) is None
    assert wider_gap([], None, 0, 1) is None


def test_a_chunk_beyond_what_is_stored_is_not_counted() -> None:
    chunks = [*_chunks(0, 100, 200, 300), Chunk("orphan", 300, 400)]
    assert wider_gap(chunks, None, 300, 1) == (100, 200)


async def test_chunk_names_are_in_log_order() -> None:
    bucket = memory_bucket()
    chunks = [(0, 5), (5, 100), (105, 10**6), (10**9, 7), (10**12, 1)]
    for start, length in reversed(chunks):
        await bucket.put(chunk_name(REF, start, length), b"")
    await bucket.put("logs/0197f000-0000-7000-8000-000000000001/3/merged-0", b"")
    found = await list_chunks(bucket, REF)
    assert [(chunk.start, chunk.end - chunk.start) for chunk in found] == chunks
    assert [chunk.name for chunk in found] == sorted(chunk.name for chunk in found)


async def _log() -> AsyncIterator[tuple[int, bytes]]:
    offset = 0
    for number in range(300):
        tag = b"stderr" if number == 7 else b"stdout"
        block = b"".join(frame_line(tag, b"line %d of %d" % (line, number), number) for line in range(10))
        yield offset, block
        offset += len(block) + (1000 if number == 20 else 0)  # a gap


async def test_a_merged_object_says_where_everything_is() -> None:
    bucket = memory_bucket()
    await bucket.put_stream("logs/t/1/merged-1", encode(_log(), size=0))
    merged = await MergedLog.open(bucket, "logs/t/1/merged-1")
    expected = [block async for block in _log()]
    assert [block.start for block in merged.blocks] == [start for start, _ in expected]
    assert [await merged.read_block(number) for number in range(300)] == [data for _, data in expected]
    assert [block.first_line for block in merged.blocks] == list(range(0, 3000, 10))
    assert merged.blocks[7].frames == (0, 0, 10, 0)
    assert merged.blocks[8].frames == (10, 0, 0, 0)
    assert merged.blocks[5].first_time == merged.blocks[5].last_time == "1970-01-01T00:00:00.000000005Z"


@pytest.mark.skipif(shutil.which("zstd") is None, reason="needs the zstd command")
async def test_a_merged_object_can_be_read_with_zstd(tmp_path: Path) -> None:
    path = tmp_path / "merged.zst"
    path.write_bytes(b"".join([piece async for piece in encode(_log(), size=0)]))
    plain = await asyncio.to_thread(subprocess.run, ["zstd", "-dc", path], capture_output=True, check=True)
    assert plain.stdout == b"".join([block async for _, block in _log()])


async def test_a_process_of_its_own_makes_the_same_object() -> None:
    here, apart = [[piece async for piece in encode(_log(), size)] for size in (FEW_BYTES, FEW_BYTES + 1)]
    assert b"".join(apart) == b"".join(here)
