"""What every bucket does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from silkmill.adapters.bucket import LocalBucket, memory_bucket
from silkmill.domain.errors import NotFound
from silkmill.ports.bucket import Bucket


@pytest.fixture(params=["memory", "local"])
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Bucket:
    return memory_bucket() if request.param == "memory" else LocalBucket(tmp_path / "new" / "bucket")


async def _pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def test_an_object_comes_back_whole_and_in_ranges(bucket: Bucket) -> None:
    data = bytes(range(256)) * 10
    await bucket.put("blobs/one", data)
    assert await bucket.get("blobs/one") == data
    assert await bucket.size("blobs/one") == len(data)
    assert await bucket.get_range("blobs/one", 5, 3) == b"\x05\x06\x07"
    assert await bucket.get_range("blobs/one", len(data) - 2, 100) == b"\xfe\xff"
    assert await bucket.get_range("blobs/one", len(data), 10) == b""
    assert await bucket.get_range("blobs/one", len(data) + 10, 10) == b""
    assert await bucket.get_range("blobs/one", 5, 0) == b""


async def test_an_empty_object_is_an_object(bucket: Bucket) -> None:
    await bucket.put("blobs/empty", b"")
    assert await bucket.get("blobs/empty") == b""
    assert await bucket.size("blobs/empty") == 0
    assert await bucket.get_range("blobs/empty", 0, 1) == b""


async def test_what_is_missing_is_not_found(bucket: Bucket) -> None:
    with pytest.raises(NotFound):
        await bucket.get("blobs/none")
    with pytest.raises(NotFound):
        await bucket.get_range("blobs/none", 0, 1)
    with pytest.raises(NotFound):
        await bucket.get_range("blobs/none", 0, 0)
    with pytest.raises(NotFound):
        await bucket.size("blobs/none")


async def test_names_are_those_below_a_folder_in_text_order(bucket: Bucket) -> None:
    for name in (
        "logs/t/1/0010-5",
        "logs/t/1/0002-8",
        "logs/t/10/0000-1",
        "logs/t2/1/0000-1",
        "logs/t/1/a/b",
    ):
        await bucket.put(name, b"x")
    assert await bucket.names("logs/t/1/") == ["logs/t/1/0002-8", "logs/t/1/0010-5", "logs/t/1/a/b"]
    assert await bucket.names("logs/none/") == []
    assert len(await bucket.names("logs/")) == 5


async def test_a_repeat_is_harmless_and_a_delete_passes_over_what_is_gone(bucket: Bucket) -> None:
    for _ in range(2):
        await bucket.put("logs/t/1/0-1", b"x")
    await bucket.delete(["logs/t/1/0-1", "logs/t/1/none", "logs/t/1/0-1"])
    assert await bucket.names("logs/") == []
    await bucket.put("logs/t/1/0-1", b"again")
    assert await bucket.get("logs/t/1/0-1") == b"again"


async def test_a_stream_becomes_one_object(bucket: Bucket) -> None:
    pieces = [bytes([number]) * 1_500_000 for number in range(5)]
    await bucket.put_stream("logs/t/1/merged-1", _pieces(*pieces))
    assert await bucket.get("logs/t/1/merged-1") == b"".join(pieces)


async def test_a_stream_that_fails_stores_nothing(bucket: Bucket) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 6_000_000
        raise NotFound("object", "source")

    with pytest.raises(NotFound, match="source"):
        await bucket.put_stream("logs/t/1/merged-1", broken())
    assert await bucket.names("logs/") == []


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/a",
        "a/",
        "a//b",
        "../a",
        "a/../b",
        "a/..",
        ".",
        "a/./b",
        ".staging/x",
        "a\0b",
        "a#1",
        "ü",
        "x" * 201,
    ],
)
async def test_names_that_lead_elsewhere_are_refused(bucket: Bucket, name: str) -> None:
    with pytest.raises(ValueError, match="no name of an object"):
        await bucket.put(name, b"x")
    with pytest.raises(ValueError, match="no name of an object"):
        await bucket.get(name)
    with pytest.raises(ValueError, match="no name of an object"):
        await bucket.delete([name])
