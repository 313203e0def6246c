"""Versions and blobs that nothing needs go, in two steps with a day between; whoever needs one keeps it."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest

from silkmill.domain.errors import BadInput, Conflict, NotFound
from silkmill.domain.spider import Spider
from silkmill.domain.version import Blob, FileEntry, Listing, Version
from silkmill.master import collection as collection_module
from silkmill.master.collection import REMEMBERED_SECONDS, UNTOUCHED, Collection
from silkmill.master.version_retention import DOOMED_FOR, SWEEP_SECONDS, VersionRetention
from silkmill.master.versions import REREAD_SECONDS
from support.master_rig import Agent, Rig

DAY = 86_400.0
TOML = 'name = "news"\ncommand = "/bin/echo %s"\n'


def keeper(rig: Rig, days: int | None = 30) -> VersionRetention:
    kept_for = None if days is None else timedelta(days=days)
    return VersionRetention(rig.store, rig.versions, kept_for, rig.clock)


async def versions(rig: Rig) -> dict[str, bool]:
    """Those there are, and whether they are doomed."""
    return {one.key: one.value.doomed_at is not None for one in await rig.store.records(Version)}


@pytest.fixture
async def unused(rig: Rig) -> str:
    """A version that nothing needs, 31 days old."""
    version = await rig.deploy_spider(TOML % "old")
    await rig.deploy_spider(TOML % "new")
    rig.clock.pass_time(31 * DAY)
    return version


async def test_a_version_that_nothing_needs_goes_a_day_after_it_was_doomed(rig: Rig, unused: str) -> None:
    await keeper(rig).sweep(set())
    assert (await versions(rig))[unused] is True
    rig.clock.pass_time(DOOMED_FOR.total_seconds())
    await keeper(rig).sweep(set())
    assert unused in await versions(rig)
    rig.clock.pass_time(1)
    await keeper(rig).sweep(set())
    assert unused not in await versions(rig)
    with pytest.raises(NotFound):
        await rig.submit(version=unused)


async def test_with_a_version_goes_what_was_known_of_its_listing(rig: Rig, unused: str) -> None:
    await rig.store.insert_record(unused, Listing(unused, "task", rig.clock.now()))
    await keeper(rig).sweep(set())
    assert await rig.store.record(Listing, unused) is not None
    rig.clock.pass_time(DAY + 1)
    await keeper(rig).sweep(set())
    assert await rig.store.record(Listing, unused) is None


async def test_no_spider_offers_a_version_that_is_gone(rig: Rig, unused: str) -> None:
    for _ in range(2):
        await keeper(rig).sweep(set())
        rig.clock.pass_time(DOOMED_FOR.total_seconds() + 1)
    assert [listed.version for listed in await rig.spiders.versions_of("default", "news")] == [
        *await versions(rig)
    ]


async def test_looking_for_them_reads_no_version_that_is_there(
    rig: Rig, unused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = rig.store.record

    async def record(kind: type, key: str) -> object:
        assert kind is not Version
        return await read(kind, key)

    monkeypatch.setattr(rig.store, "record", record)
    await keeper(rig).sweep(set())


async def test_nor_after_a_crash_between_the_two(rig: Rig, unused: str) -> None:
    stored = await rig.store.record(Version, unused)
    assert stored is not None
    await rig.store.delete_record(stored)
    await keeper(rig).sweep(set())
    assert unused not in [listed.version for listed in await rig.spiders.versions_of("default", "news")]


async def test_what_a_spider_points_to_or_a_task_has_or_is_young_stays(rig: Rig, unused: str) -> None:
    before = await versions(rig)
    for days, pinned in ((30, set(before)), (32, set()), (None, set())):
        for _ in range(3):
            await keeper(rig, days).sweep(pinned)
        assert await versions(rig) == before


async def test_a_task_that_was_made_meanwhile_keeps_it(rig: Rig, unused: str) -> None:
    """By another master, which does not know yet that the version is doomed."""
    other = rig.restarted()
    await other.versions.get(unused)
    await keeper(rig).sweep(set())
    task = await other.submit(version=unused)
    assert (await versions(rig))[unused] is True
    rig.clock.pass_time(DAY + 1)
    await keeper(rig).sweep({task.version})
    assert (await versions(rig))[unused] is False


@pytest.mark.parametrize("how", ["submit", "deploy", "bulk"])
async def test_whoever_uses_a_doomed_version_takes_the_mark_away(rig: Rig, unused: str, how: str) -> None:
    await keeper(rig).sweep(set())
    doomed = await rig.store.record(Version, unused)
    assert doomed is not None
    if how == "submit":
        await rig.submit(version=unused)
    elif how == "bulk":
        await rig.intake.submit_group([rig.line(version=unused)], None, b"")
    else:
        assert await rig.deploy_spider(TOML % "old") == unused
    assert (await versions(rig))[unused] is False
    rig.clock.pass_time(DAY + 1)
    with pytest.raises(Conflict):  # a master that had read it before
        await keeper(rig)._kept(doomed, rig.clock.now(), timedelta(days=30), needed=False)
    assert unused in await versions(rig)


async def test_a_master_reads_a_kept_version_again_in_time(rig: Rig, unused: str) -> None:
    other = rig.restarted()
    await other.versions.get(unused)
    await keeper(rig).sweep(set())
    rig.clock.pass_time(REREAD_SECONDS)
    await other.submit(version=unused)
    assert (await versions(rig))[unused] is False


async def put(rig: Rig, content: bytes) -> str:
    sha = hashlib.sha256(content).hexdigest()
    await rig.uploads.put_blob(sha, content)
    return sha


async def blob(rig: Rig, sha: str) -> Blob | None:
    stored = await rig.store.record(Blob, sha)
    return stored.value if stored else None


def collection(rig: Rig) -> Collection:
    return Collection(rig.store, rig.bucket, rig.clock)


async def test_a_blob_that_no_version_names_goes_once_nobody_has_touched_it_for_a_day(rig: Rig) -> None:
    sha, objects = await put(rig, b"unused"), await rig.bucket.names("blobs/")
    rig.clock.pass_time(UNTOUCHED.total_seconds())
    await collection(rig).tick()
    assert (await blob(rig, sha)).doomed_at is None  # type: ignore[union-attr]
    rig.clock.pass_time(1)
    await collection(rig).tick()
    assert (await blob(rig, sha)).doomed_at == rig.clock.now()  # type: ignore[union-attr]
    assert await rig.bucket.names("blobs/") == objects
    await collection(rig).tick()
    assert await blob(rig, sha) is None
    assert len(await rig.bucket.names("blobs/")) == len(objects) - 1


async def test_the_files_of_a_version_stay_and_those_of_a_deleted_one_go(rig: Rig, unused: str) -> None:
    for _ in range(3):
        await collection(rig).tick()
    assert len(await rig.store.records(Blob)) == len(await rig.store.records(Version))
    await keeper(rig).sweep(set())
    rig.clock.pass_time(DAY + 1)
    await keeper(rig).sweep(set())
    for _ in range(3):
        await collection(rig).tick()
    assert unused not in await versions(rig)
    assert len(await rig.store.records(Blob)) == len(await rig.store.records(Version))
    assert len(await rig.bucket.names("blobs/")) == len(await rig.store.records(Version))
    new = (await rig.store.records(Spider))[0].value.version
    [entry] = (await rig.versions.get(new)).files
    assert b"".join([piece async for piece in rig.uploads.blob(entry.sha256)]) == (TOML % "new").encode()


@pytest.fixture
def read(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> list[type]:
    """The kinds of records that were read in pages; a manifest may name ten thousands of files."""
    kinds: list[type] = []
    records = rig.store.records

    async def reading(kind: type, **where: object) -> object:
        kinds.append(kind)
        return await records(kind, **where)  # type: ignore[arg-type]

    monkeypatch.setattr(rig.store, "records", reading)
    return kinds


async def test_no_manifest_is_read_where_every_blob_was_touched_lately(rig: Rig, read: list[type]) -> None:
    await collection(rig).tick()
    assert (Blob in read, Version in read) == (True, False)


async def test_blobs_that_were_found_in_use_are_not_looked_for_again_soon(
    rig: Rig, unused: str, read: list[type]
) -> None:
    keep = collection(rig)
    await keep.tick()
    assert Version in read
    read.clear()
    await keep.tick()
    assert Version not in read
    rig.clock.pass_time(REMEMBERED_SECONDS)
    await keep.tick()
    assert Version in read


async def test_a_blob_that_was_found_in_use_goes_after_its_version(rig: Rig, unused: str) -> None:
    keep = collection(rig)
    [entry] = (await rig.versions.get(unused)).files
    await keep.tick()
    stored = await rig.store.record(Version, unused)
    assert stored is not None
    await rig.store.delete_record(stored)
    await keep.tick()
    assert await blob(rig, entry.sha256) is not None
    rig.clock.pass_time(REMEMBERED_SECONDS)
    for _ in range(2):
        await keep.tick()
    assert await blob(rig, entry.sha256) is None


async def test_no_more_blobs_are_remembered_than_there_is_room_for(
    rig: Rig, unused: str, read: list[type], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection_module, "MOST_REMEMBERED", 1)
    keep = collection(rig)
    for _ in range(2):
        await keep.tick()
    assert read.count(Version) > 2
    assert len(await rig.store.records(Blob)) == len(await rig.store.records(Version))


async def test_no_manifest_is_read_again_where_every_version_is_needed_or_young(
    rig: Rig, unused: str, read: list[type]
) -> None:
    keep, needed = keeper(rig), set(await versions(rig))
    await keep.sweep(needed)  # a crash may have left doomed ones
    assert Version in read
    for pinned, looks in ((needed, False), (set(), True)):
        rig.clock.pass_time(SWEEP_SECONDS - 1)
        read.clear()
        await keep.sweep(pinned)
        assert read == []
        rig.clock.pass_time(1)
        await keep.sweep(pinned)
        assert (Version in read) is looks
    assert (await versions(rig))[unused] is True


async def test_a_doomed_version_that_is_needed_again_loses_the_mark(rig: Rig, unused: str) -> None:
    keep = keeper(rig)
    await keep.sweep(set())
    rig.clock.pass_time(SWEEP_SECONDS)
    await keep.sweep({unused})
    assert (await versions(rig))[unused] is False
    for _ in range(2):
        rig.clock.pass_time(DAY + 1)
        await keep.sweep(set())
    assert unused not in await versions(rig)


async def test_asking_which_are_missing_touches(rig: Rig) -> None:
    sha = await put(rig, b"content")
    rig.clock.pass_time(DAY + 1)
    assert await rig.uploads.missing([sha]) == []
    await collection(rig).tick()
    assert (await blob(rig, sha)).doomed_at is None  # type: ignore[union-attr]


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_doomed_blob_is_missing_and_its_upload_is_a_new_object(rig: Rig, streamed: bool) -> None:
    content = b"x" * (2 << 20) if streamed else b"content"
    sha = await put(rig, content)
    rig.clock.pass_time(DAY + 1)
    keep = collection(rig)
    await keep.tick()
    doomed = await rig.store.record(Blob, sha)
    assert doomed is not None
    assert await rig.uploads.missing([sha]) == [sha]
    with pytest.raises(BadInput, match="not uploaded"):
        await rig.deploy.create_version(None, [FileEntry("spider.toml", sha, len(content))])

    async def pieces():  # type: ignore[no-untyped-def]
        yield content

    await rig.uploads.put_blob_stream(sha, pieces())
    again = await blob(rig, sha)
    assert again is not None
    assert (again.doomed_at, again.object_name != doomed.value.object_name) == (None, True)
    assert doomed.value.object_name not in await rig.bucket.names("blobs/")
    await keep._collect(doomed)  # a master that had read it before
    assert doomed.value.object_name not in await rig.bucket.names("blobs/")
    assert await rig.bucket.get(again.object_name) == content
    assert await blob(rig, sha) == again


async def test_a_crash_after_the_object_went_is_finished(rig: Rig) -> None:
    sha = await put(rig, b"content")
    rig.clock.pass_time(DAY + 1)
    await collection(rig).tick()
    doomed = await blob(rig, sha)
    assert doomed is not None
    await rig.bucket.delete([doomed.object_name])
    assert await rig.uploads.missing([sha]) == [sha]
    await collection(rig).tick()
    assert await blob(rig, sha) is None


async def test_a_version_pins_its_tasks_files_through_a_whole_pass(rig: Rig, agent: Agent) -> None:
    ref = await agent.running()
    version = (await rig.task(ref.task_id)).version
    await rig.deploy_spider(TOML % "newer")
    rig.clock.pass_time(400 * DAY)
    await keeper(rig, 1).sweep({version})
    assert (await versions(rig))[version] is False
