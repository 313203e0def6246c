"""Objects that a crash has left without a record go in time; what a record names or an upload makes stays."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace

import pytest

from silkmill.domain.errors import Unavailable
from silkmill.domain.version import Blob
from silkmill.master import blob_objects
from silkmill.master.blob_objects import SWEEP_SECONDS, UPLOADED, Leftovers
from silkmill.runtime import faults
from support.master_rig import Rig

LARGE = bytes(2 << 20)


def leftovers(rig: Rig) -> Leftovers:
    return Leftovers(rig.store, rig.bucket, rig.clock)


async def objects(rig: Rig) -> list[str]:
    return await rig.bucket.names("blobs/")


async def stream(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def cut_short(rig: Rig, data: bytes) -> None:
    """An upload that ends between the object and its record."""
    faults.arm("store.before_commit=error")
    with suppress(Unavailable):
        await rig.uploads.put_blob_stream(hashlib.sha256(data).hexdigest(), stream(data))
    faults.disarm()


@pytest.mark.parametrize("data", [b"content", LARGE], ids=["small", "large"])
async def test_what_an_upload_has_left_goes_after_a_day(rig: Rig, data: bytes) -> None:
    used = await objects(rig)
    await cut_short(rig, data)
    assert len(await objects(rig)) == len(used) + 1
    rig.clock.pass_time(UPLOADED.total_seconds())
    await leftovers(rig).tick()
    assert len(await objects(rig)) == len(used) + 1
    rig.clock.pass_time(1)
    await leftovers(rig).tick()
    assert await objects(rig) == used


async def test_what_a_record_names_stays(rig: Rig) -> None:
    data = b"content"
    await cut_short(rig, data)
    await rig.uploads.put_blob(hashlib.sha256(data).hexdigest(), data)
    rig.clock.pass_time(UPLOADED.total_seconds() + 1)
    await leftovers(rig).tick()
    named = [stored.value.object_name for stored in await rig.store.records(Blob)]
    assert await objects(rig) == sorted(named)


async def test_names_without_a_time_are_read_and_swept(rig: Rig) -> None:
    """As engines before this one have given them."""
    data = b"content"
    sha = hashlib.sha256(data).hexdigest()
    await rig.uploads.put_blob(sha, data)
    stored = await rig.store.record(Blob, sha)
    assert stored is not None
    named, left = f"blobs/{sha}-01234567", f"blobs/{sha}-89abcdef"
    for name in (named, left, "blobs/what-is-this"):
        await rig.bucket.put(name, data)
    await rig.store.replace_record(stored, replace(stored.value, object_name=named), "change")
    await leftovers(rig).tick()
    assert b"".join([piece async for piece in rig.uploads.blob(sha)]) == data
    assert {named, "blobs/what-is-this"} < set(await objects(rig))
    assert left not in await objects(rig)


async def test_a_tick_looks_at_some_and_a_sweep_is_followed_by_a_rest(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blob_objects, "OBJECTS_AT_ONCE", 2)
    used = await objects(rig)
    for number in range(5):
        await cut_short(rig, b"%d" % number)
    rig.clock.pass_time(UPLOADED.total_seconds() + 1)
    sweep = leftovers(rig)
    for left in (4, 2, 1):
        await sweep.tick()
        assert len(set(await objects(rig)) - set(used)) <= left
    assert await objects(rig) == used
    old = f"blobs/{'0' * 64}-01234567"
    await rig.bucket.put(old, b"")
    rig.clock.pass_time(SWEEP_SECONDS - 1)
    await sweep.tick()
    assert old in await objects(rig)
    rig.clock.pass_time(1)
    await sweep.tick()
    await sweep.tick()
    assert await objects(rig) == used
