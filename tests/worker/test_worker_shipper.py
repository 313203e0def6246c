"""The shipper over segment files: order, batches, acknowledgement, and what leaves the disk when."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from worker_driver import wait_until

from silkmill.domain.errors import OffsetMismatch
from silkmill.worker.batches import BATCH_BYTES, Batch, ItemBatches, LogBatches
from silkmill.worker.segments import MissingBytes
from silkmill.worker.shipper import PACE_SECONDS, Shipper


class Receiver:
    """Takes batches. While it holds, each answer waits for one `answer.release()`."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.times: list[float] = []
        self.holds = False
        self.answer = asyncio.Semaphore(0)
        self.answers: list[Any] = []

    async def __call__(self, batch: Batch) -> int:
        self.batches.append(batch)
        self.times.append(asyncio.get_running_loop().time())
        if self.holds:
            await self.answer.acquire()
        if self.answers:
            raise self.answers.pop(0)
        return batch.end

    @property
    def log(self) -> bytes:
        return b"".join(batch.data for batch in self.batches)

    @property
    def records(self) -> list[bytes]:
        return [record for batch in self.batches for record in batch.records]


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


def put(directory: Path, stream: str, offset: int, data: bytes) -> Path:
    path = directory / f"{stream}.{offset}"
    with open(path, "ab") as file:
        file.write(data)
    return path


async def run(shipper: Shipper) -> None:
    await asyncio.wait_for(shipper.run(), 10)


async def test_a_log_is_shipped_in_order_across_segments(tmp_path: Path, receiver: Receiver) -> None:
    put(tmp_path, "log", 0, b"a" * 100)
    put(tmp_path, "log", 100, b"b" * (BATCH_BYTES + 10))
    put(tmp_path, "log", 110 + BATCH_BYTES, b"c" * 5)
    shipper = Shipper(LogBatches(tmp_path), receiver)
    shipper.end_at(115 + BATCH_BYTES, 0)
    await run(shipper)
    assert receiver.log == b"a" * 100 + b"b" * (BATCH_BYTES + 10) + b"c" * 5
    assert [batch.offset for batch in receiver.batches] == [0, 100, 100 + BATCH_BYTES, 110 + BATCH_BYTES]
    assert max(len(batch.data) for batch in receiver.batches) == BATCH_BYTES


async def test_a_segment_leaves_the_disk_only_when_acknowledged(tmp_path: Path, receiver: Receiver) -> None:
    first = put(tmp_path, "log", 0, b"a" * 100)
    second = put(tmp_path, "log", 100, b"b" * 100)
    shipper = Shipper(LogBatches(tmp_path), receiver)
    receiver.holds = True
    running = asyncio.create_task(shipper.run())
    await wait_until(lambda: receiver.batches, "the first batch to be sent")
    await asyncio.sleep(0.1)
    assert first.exists() and len(receiver.batches) == 1, "sent is not acknowledged"
    receiver.holds = False
    receiver.answer.release()
    await wait_until(lambda: not first.exists(), "the closed segment to be removed")
    assert second.exists(), "the last segment may still grow"
    shipper.end_at(200, 0)
    await asyncio.wait_for(running, 10)


async def test_an_items_segment_stays_while_records_of_it_are_on_the_way(
    tmp_path: Path, receiver: Receiver
) -> None:
    lines = [b"%d" % n for n in range(2500)]
    data = b"\n".join(lines) + b"\n"
    first = put(tmp_path, "items", 0, data)
    put(tmp_path, "items", len(data), b"last\n")
    shipper = Shipper(ItemBatches(tmp_path), receiver)
    shipper.end_at(len(data) + 5, 2501)
    receiver.holds = True
    running = asyncio.create_task(shipper.run())
    for sent in (1, 2, 3):
        await wait_until(lambda sent=sent: len(receiver.batches) == sent, f"batch {sent}")  # type: ignore[misc]
        assert first.exists()
        receiver.answer.release()
    receiver.answer.release()
    await asyncio.wait_for(running, 10)
    assert not first.exists()
    assert receiver.records == [*lines, b"last"]
    assert [(batch.first_ordinal, len(batch.records)) for batch in receiver.batches] == [
        (0, 1000),
        (1000, 1000),
        (2000, 500),
        (2500, 1),
    ]


async def test_only_whole_records_are_sent(tmp_path: Path, receiver: Receiver) -> None:
    put(tmp_path, "items", 0, b'{"n":1}\n{"n":')
    shipper = Shipper(ItemBatches(tmp_path), receiver)
    running = asyncio.create_task(shipper.run())
    await wait_until(lambda: receiver.batches, "the first record")
    put(tmp_path, "items", 0, b"2}\n")
    shipper.grew(16, 2)
    shipper.end_at(16, 2)
    await asyncio.wait_for(running, 10)
    assert receiver.records == [b'{"n":1}', b'{"n":2}']


@pytest.mark.parametrize("size", [BATCH_BYTES - 1, BATCH_BYTES, BATCH_BYTES + 1, 5 * BATCH_BYTES + 3])
async def test_a_long_record_is_a_batch_of_its_own(tmp_path: Path, receiver: Receiver, size: int) -> None:
    records = [b"a", b"x" * size, b"b"]
    data = b"\n".join(records) + b"\n"
    put(tmp_path, "items", 0, data)
    shipper = Shipper(ItemBatches(tmp_path), receiver)
    shipper.end_at(len(data), 3)
    await run(shipper)
    assert receiver.records == records
    assert [batch.first_ordinal for batch in receiver.batches if batch.records[0] == records[1]] == [1]
    if size + 1 > BATCH_BYTES:
        assert [batch.records for batch in receiver.batches if records[1] in batch.records] == [[records[1]]]


async def test_first_bytes_go_at_once_and_then_in_batches(tmp_path: Path, receiver: Receiver) -> None:
    shipper = Shipper(LogBatches(tmp_path), receiver)
    running = asyncio.create_task(shipper.run())
    await asyncio.sleep(2 * PACE_SECONDS)
    loop = asyncio.get_running_loop()
    written_at = loop.time()
    for n in range(40):
        put(tmp_path, "log", 0, b"x" * 10)
        shipper.grew(10 * (n + 1), 0)
        await asyncio.sleep(0.01)
    shipper.end_at(400, 0)
    await asyncio.wait_for(running, 10)
    assert receiver.times[0] - written_at < PACE_SECONDS / 2
    assert receiver.log == b"x" * 400
    gaps = [later - earlier for earlier, later in zip(receiver.times, receiver.times[1:-1], strict=False)]
    assert all(gap > PACE_SECONDS * 0.9 for gap in gaps), gaps


async def test_what_no_event_told_is_found_anyway(tmp_path: Path, receiver: Receiver) -> None:
    shipper = Shipper(LogBatches(tmp_path), receiver)
    running = asyncio.create_task(shipper.run())
    await asyncio.sleep(0.1)
    put(tmp_path, "log", 0, b"silent")
    await wait_until(lambda: receiver.log == b"silent", "the safety look", seconds=3)
    shipper.end_at(6, 0)
    await asyncio.wait_for(running, 10)


@pytest.mark.parametrize("stored", [0, 3, 8, 10])
async def test_it_goes_on_where_the_master_says(tmp_path: Path, receiver: Receiver, stored: int) -> None:
    """Positions are record boundaries: 2 bytes a record here, except for the log."""
    lines = [str(n).encode() for n in range(6)]
    put(tmp_path, "items", 0, b"\n".join(lines) + b"\n")
    boundary = stored - stored % 2
    shipper = Shipper(ItemBatches(tmp_path), receiver)
    receiver.answers.append(OffsetMismatch(boundary, 0))
    shipper.end_at(12, 6)
    if boundary == 0:
        boundary = 2  # a mismatch always names another offset than the one that was sent
        receiver.answers[0] = OffsetMismatch(boundary, 0)
    await run(shipper)
    sent_again = receiver.batches[1]
    assert sent_again.offset == boundary and sent_again.first_ordinal == boundary // 2
    assert list(sent_again.records) == lines[boundary // 2 :]


async def test_going_back_counts_the_records_between(tmp_path: Path, receiver: Receiver) -> None:
    data = b"".join(b"%d\n" % n for n in range(100))
    put(tmp_path, "items", 0, data)
    batches = ItemBatches(tmp_path)
    batches.offset, batches.ordinal = len(data), 100
    batches.move_to(20)  # ten records of two bytes
    assert batches.ordinal == 10
    batch = batches.next()
    assert batch is not None and batch.records[0] == b"10" and batch.first_ordinal == 10


async def test_a_segment_that_was_just_opened_is_not_its_own_successor(
    tmp_path: Path, receiver: Receiver
) -> None:
    put(tmp_path, "log", 0, b"a" * 10)
    newest = put(tmp_path, "log", 10, b"")
    shipper = Shipper(LogBatches(tmp_path), receiver)
    running = asyncio.create_task(shipper.run())
    await wait_until(lambda: shipper.batches.offset == 10, "the first segment to be through")
    await asyncio.sleep(2 * PACE_SECONDS)
    shipper.grew(10, 0)
    await asyncio.sleep(2 * PACE_SECONDS)
    assert newest.exists()
    put(tmp_path, "log", 10, b"b")
    shipper.end_at(11, 0)
    await asyncio.wait_for(running, 10)
    assert receiver.log == b"a" * 10 + b"b"


async def test_a_file_that_is_shorter_than_said_is_an_error(tmp_path: Path, receiver: Receiver) -> None:
    put(tmp_path, "log", 0, b"short")
    shipper = Shipper(LogBatches(tmp_path), receiver)
    shipper.end_at(100, 0)
    with pytest.raises(MissingBytes, match="from 5 on"):
        await run(shipper)


async def test_a_removed_beginning_is_an_error(tmp_path: Path, receiver: Receiver) -> None:
    put(tmp_path, "log", 100, b"later")
    shipper = Shipper(LogBatches(tmp_path), receiver)
    shipper.end_at(105, 0)
    with pytest.raises(MissingBytes, match="from 0 on"):
        await run(shipper)


async def test_it_starts_in_the_middle(tmp_path: Path, receiver: Receiver) -> None:
    """After an adoption: acknowledged segments that were not unlinked yet are, the rest is shipped."""
    gone = put(tmp_path, "log", 0, b"a" * 10)
    put(tmp_path, "log", 10, b"b" * 10)
    batches = LogBatches(tmp_path)
    batches.offset = 15
    shipper = Shipper(batches, receiver)
    shipper.end_at(20, 0)
    await run(shipper)
    assert receiver.log == b"b" * 5
    assert not gone.exists()


async def test_items_with_every_byte_survive(tmp_path: Path, receiver: Receiver) -> None:
    records = [
        json.dumps({"n": n, "text": "é\u2028\x85" * n}, ensure_ascii=False).encode() for n in range(300)
    ]
    data = b"\n".join(records) + b"\n"
    put(tmp_path, "items", 0, data)
    shipper = Shipper(ItemBatches(tmp_path), receiver)
    shipper.end_at(len(data), 300)
    await run(shipper)
    assert receiver.records == records
