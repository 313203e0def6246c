"""Deploying: blobs by content, versions that are immutable, spiders that point to them."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest

from silkmill.domain.errors import BadInput, NotFound
from silkmill.domain.version import Blob, FileEntry, Version
from silkmill.master.folders import MOST_MANIFEST_BYTES
from silkmill.runtime import faults
from support.master_rig import SPIDER_TOML, Rig, repeated


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def entry(rig: Rig, path: str, data: bytes, mode: int = 0o644) -> FileEntry:
    await rig.uploads.put_blob(sha(data), data)
    return FileEntry(path, sha(data), len(data), mode)


async def content(rig: Rig, sha256: str) -> bytes:
    return b"".join([piece async for piece in rig.uploads.blob(sha256)])


async def stream(data: bytes, piece_bytes: int = 100_000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), piece_bytes):
        yield data[start : start + piece_bytes]


async def manifest(rig: Rig, text: str = SPIDER_TOML) -> FileEntry:
    return await entry(rig, "spider.toml", text.encode())


class TestBlobs:
    async def test_only_what_is_missing_must_be_uploaded(self, rig: Rig) -> None:
        await rig.uploads.put_blob(sha(b"one"), b"one")
        wanted = [sha(b"two"), sha(b"one"), sha(b"three"), sha(b"two")]
        assert await rig.uploads.missing(wanted) == [sha(b"two"), sha(b"three")]

    async def test_content_comes_back(self, rig: Rig) -> None:
        for data in (b"", b"\x00\xff" * 1000):
            await rig.uploads.put_blob(sha(data), data)
            assert await content(rig, sha(data)) == data

    async def test_content_with_another_hash_is_refused(self, rig: Rig) -> None:
        with pytest.raises(BadInput, match="SHA-256"):
            await rig.uploads.put_blob(sha(b"one"), b"two")
        with pytest.raises(NotFound):
            await content(rig, sha(b"one"))

    @pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (3 << 20) + 5])
    async def test_content_comes_in_pieces(self, rig: Rig, size: int) -> None:
        data = os.urandom(size)
        for _ in range(2):  # a repeat leaves one object
            await rig.uploads.put_blob_stream(sha(data), stream(data))
        assert await content(rig, sha(data)) == data
        stored = await rig.store.record(Blob, sha(data))
        assert stored is not None
        assert stored.value.size == size
        assert len(await rig.bucket.names("blobs/")) == 2

    @pytest.mark.parametrize("known", [False, True])
    async def test_pieces_with_another_hash_leave_nothing(self, rig: Rig, known: bool) -> None:
        data = bytes(3 << 20)
        if known:
            await rig.uploads.put_blob(sha(data), data)
        before = await rig.bucket.names("blobs/")
        with pytest.raises(BadInput, match="SHA-256"):
            await rig.uploads.put_blob_stream(sha(data), stream(data + b"x"))
        assert await rig.bucket.names("blobs/") == before

    @pytest.mark.parametrize("bad", ["", "../etc/passwd", "A" * 64, "0" * 63])
    async def test_what_is_not_a_hash_is_refused(self, rig: Rig, bad: str) -> None:
        with pytest.raises(BadInput):
            await rig.uploads.missing([bad])
        with pytest.raises(BadInput):
            await rig.uploads.put_blob(bad, b"")

    async def test_a_repeat_leaves_one_object(self, rig: Rig) -> None:
        for _ in range(2):
            await rig.uploads.put_blob(sha(b"one"), b"one")
        assert len(await rig.bucket.names("blobs/")) == 2  # spider.toml of the rig, and this one

    @pytest.mark.parametrize("point", ["store.before_commit", "store.after_commit"])
    async def test_an_upload_whose_answer_is_lost_is_repeated(self, rig: Rig, point: str) -> None:
        faults.arm(f"{point}=error*2")
        await repeated(lambda: rig.uploads.put_blob(sha(b"one"), b"one"))
        assert await content(rig, sha(b"one")) == b"one"
        stored = await rig.store.record(Blob, sha(b"one"))
        assert stored is not None
        assert stored.value.object_name in await rig.bucket.names("blobs/")


class TestTouching:
    """Blobs that a deploy counts on are kept for it."""

    async def touched_at(self, rig: Rig, sha256: str) -> datetime:
        stored = await rig.store.record(Blob, sha256)
        assert stored is not None
        return stored.value.touched_at

    async def test_asking_touches_what_is_there(self, rig: Rig) -> None:
        one = await entry(rig, "a", b"one")
        rig.clock.pass_time(DAY)
        assert await rig.uploads.missing([one.sha256, sha(b"two")]) == [sha(b"two")]
        assert await self.touched_at(rig, one.sha256) == rig.clock.now()

    async def test_at_most_one_write_a_blob_and_hour(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        shas = [(await entry(rig, "a", b"%d" % number)).sha256 for number in range(20)]
        replaced = counted(rig, monkeypatch)
        for _ in range(60):
            await rig.uploads.missing(shas)
            rig.clock.pass_time(120)
        assert len(replaced) == len(shas)  # in two hours, of which the first needs none

    async def test_bringing_a_known_blob_touches_it(self, rig: Rig) -> None:
        for data in (b"one", bytes(2 << 20)):
            await rig.uploads.put_blob(sha(data), data)
            rig.clock.pass_time(DAY)
            await rig.uploads.put_blob_stream(sha(data), stream(data))
            assert await self.touched_at(rig, sha(data)) == rig.clock.now()

    async def test_who_touches_at_the_same_time_does_not_fail(self, rig: Rig) -> None:
        one = await entry(rig, "a", b"one")
        rig.clock.pass_time(DAY)
        answers = await asyncio.gather(*(rig.uploads.missing([one.sha256]) for _ in range(10)))
        assert answers == [[]] * 10

    async def test_an_old_answer_makes_no_version(self, rig: Rig) -> None:
        files = [await manifest(rig, SPIDER_TOML + "priority = 2\n"), await entry(rig, "a", b"one")]
        rig.clock.pass_time(DAY / 2)
        await rig.deploy.create_version(None, files)
        rig.clock.pass_time(1)
        with pytest.raises(BadInput, match="asked for more than 12 h ago; ask POST /blobs/missing again"):
            await rig.deploy.create_version(None, files)
        await rig.uploads.missing(file.sha256 for file in files)
        await rig.deploy.create_version(None, files)


DAY = 86400.0


def counted(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What is replaced in the store from now on."""
    replaced: list[object] = []
    replace_record = rig.store.replace_record

    async def counting(old: Any, value: Any, change_id: str) -> Any:
        replaced.append(value)
        return await replace_record(old, value, change_id)

    monkeypatch.setattr(rig.store, "replace_record", counting)
    return replaced


class TestVersions:
    async def test_a_version_holds_its_files_and_spiders(self, rig: Rig) -> None:
        files = [await manifest(rig), await entry(rig, "lib/run.sh", b"#!/bin/sh\n", 0o755)]
        version = (await rig.deploy.create_version(None, files)).version
        stored = await rig.store.record(Version, version.id)
        assert stored is not None
        assert stored.value == version
        assert version.files == tuple(files)
        assert version.spiders["news"].command == ("/bin/true",)
        assert (await rig.versions.spider("default", "news")).version == version.id

    async def test_equal_files_are_the_same_version(self, rig: Rig) -> None:
        files = [await manifest(rig), await entry(rig, "a", b"a")]
        first = (await rig.deploy.create_version(None, files)).version
        rig.clock.pass_time(60)
        assert (await rig.deploy.create_version(None, list(reversed(files)))).version == first

    async def test_deploying_an_older_version_again_rolls_back(self, rig: Rig) -> None:
        old = await rig.deploy_spider()
        new = await rig.deploy_spider(SPIDER_TOML + "priority = 1\n")
        assert (await rig.versions.spider("default", "news")).version == new
        await rig.deploy_spider()
        assert (await rig.versions.spider("default", "news")).version == old

    async def test_the_project_may_be_given(self, rig: Rig) -> None:
        version = (await rig.deploy.create_version("shop", [await manifest(rig)])).version
        assert (version.project, version.spiders["news"].project) == ("shop", "shop")
        assert (await rig.versions.config("shop", "news", version.id)).name == "news"
        with pytest.raises(BadInput):
            await rig.deploy.create_version("Shop!", [await manifest(rig)])

    async def test_a_folder_needs_a_spider_toml(self, rig: Rig) -> None:
        with pytest.raises(BadInput, match="the folder has neither") as refusal:
            await rig.deploy.create_version(None, [await entry(rig, "main.py", b"")])
        assert refusal.value.remedy

    async def test_a_mark_of_utf_8_is_no_part_of_spider_toml(self, rig: Rig) -> None:
        version = (
            await rig.deploy.create_version(None, [await manifest(rig, "\ufeff" + SPIDER_TOML)])
        ).version
        assert len(version.spiders) == 1

    async def test_a_large_spider_toml_is_not_even_read(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        text = SPIDER_TOML + "#" * (MOST_MANIFEST_BYTES - len(SPIDER_TOML))
        await rig.deploy.create_version(None, [await manifest(rig, text)])
        larger = await manifest(rig, text + "#")
        monkeypatch.setattr(rig.bucket, "get_range", None)
        with pytest.raises(BadInput, match=r"spider\.toml has 1048577 bytes") as refused:
            await rig.deploy.create_version(None, [larger])
        assert (refused.value.field, bool(refused.value.remedy)) == ("spider.toml", True)

    async def test_a_bad_spider_toml_makes_no_version(self, rig: Rig) -> None:
        for data in (b"name = 5", b"\xff\xfe", b'name = "x"\ncomand = "y"'):
            bad = await entry(rig, "spider.toml", data)
            with pytest.raises(BadInput, match=r"spider\.toml"):
                await rig.deploy.create_version(None, [bad])
        assert len(await rig.store.records(Version)) == 1

    async def test_a_file_is_as_long_as_its_entry_says(self, rig: Rig) -> None:
        main = await entry(rig, "main.py", b"print()")
        for size in (len(b"print()") - 1, len(b"print()") + 1):
            wrong = FileEntry("main.py", main.sha256, size)
            with pytest.raises(BadInput, match=r"'main\.py' has 7 bytes"):
                await rig.deploy.create_version(None, [await manifest(rig), wrong])

    async def test_files_must_be_uploaded_first(self, rig: Rig) -> None:
        absent = FileEntry("a", sha(b"absent"), 6)
        with pytest.raises(BadInput, match="'a' is not uploaded"):
            await rig.deploy.create_version(None, [await manifest(rig), absent])

    @pytest.mark.parametrize(
        "path",
        ["/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a/", "", "a\0b", "..\\x", "spider.toml", "lib"],
    )
    async def test_a_path_that_could_lead_elsewhere_is_refused(self, rig: Rig, path: str) -> None:
        files = [await manifest(rig), await entry(rig, "lib/deep/a.py", b"x"), await entry(rig, path, b"y")]
        with pytest.raises(BadInput) as refusal:
            await rig.deploy.create_version(None, files)
        assert refusal.value.field == "files"

    @pytest.mark.parametrize("mode", [0o4755, 0o100644, -1])
    async def test_only_permission_bits(self, rig: Rig, mode: int) -> None:
        with pytest.raises(BadInput):
            await rig.deploy.create_version(None, [await manifest(rig), await entry(rig, "a", b"", mode)])

    async def test_a_version_of_several_spiders(self, rig: Rig) -> None:
        text = "command = 'true'\n[spiders.a]\n[spiders.b]\npriority = 1\n"
        version = (await rig.deploy.create_version("shop", [await manifest(rig, text)])).version
        assert {name: config.priority for name, config in version.spiders.items()} == {"a": 5, "b": 1}
        for name in ("a", "b"):
            assert (await rig.versions.spider("shop", name)).version == version.id
            assert [listed.version for listed in await rig.spiders.versions_of("shop", name)] == [version.id]
        for name in ("a", "b"):
            await rig.deploy.create_version("shop", [await manifest(rig, text)], name)
        with pytest.raises(BadInput, match="names 'a', 'b'"):
            await rig.deploy.create_version("shop", [await manifest(rig, text)], "c")

    @pytest.mark.parametrize("point", ["store.before_commit", "store.after_commit"])
    @pytest.mark.parametrize("hit", [1, 2, 3])
    async def test_cut_anywhere_a_repeat_makes_it(self, rig: Rig, point: str, hit: int) -> None:
        files = [await manifest(rig, SPIDER_TOML + "priority = 2\n")]
        faults.arm(f"{point}=error@{hit}*1")
        version = (await repeated(lambda: rig.deploy.create_version(None, files))).version
        assert (await rig.versions.spider("default", "news")).version == version.id
        assert version.id in [listed.version for listed in await rig.spiders.versions_of("default", "news")]
