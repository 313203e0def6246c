"""Deploy: takes the files of a folder as blobs, and makes a version of them that spiders point to."""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from dataclasses import replace

from silkmill.domain.errors import BadInput, Conflict, Duplicate, NotFound
from silkmill.domain.spider import Spider, SpiderConfig, check_name
from silkmill.domain.spider_toml import parse_spider_toml
from silkmill.domain.version import Blob, FileEntry, Version, version_id
from silkmill.master.blob_records import BlobRecords
from silkmill.master.feed import Feed, LimitsChanged
from silkmill.master.outages import Outages
from silkmill.master.versions import Versions, spider_key
from silkmill.ports.bucket import Bucket
from silkmill.ports.clock import Clock
from silkmill.ports.store import Store
from silkmill.runtime.pieces import in_pieces

MANIFEST = "spider.toml"
PIECE_BYTES = 1 << 20
"""What a link carries in one message."""
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


class Deploy:
    """Blobs first, then the version: one conditional write each, so a cut deploy leaves only unused blobs."""

    def __init__(
        self,
        store: Store,
        bucket: Bucket,
        versions: Versions,
        feed: Feed,
        outages: Outages,
        clock: Clock,
    ) -> None:
        self._store, self._bucket, self._versions, self._feed = store, bucket, versions, feed
        self._outages, self._clock = outages, clock
        self._blobs = BlobRecords(store, bucket, clock)

    async def missing(self, shas: Iterable[str]) -> list[str]:
        """Those of the blobs that must be uploaded, in the order given. Raises BadInput."""
        unique = list(dict.fromkeys(_check_sha(sha) for sha in shas))
        kept = await self._blobs.touched(unique)
        return [sha for sha in unique if sha not in kept]

    async def put_blob(self, sha256: str, data: bytes) -> None:
        """Store a file's content. A repeat is harmless. Raises BadInput when it has another hash."""
        Hashed(sha256, data).check()
        if await self._blobs.touched([sha256]):
            return
        name = _object_name(sha256)
        await self._bucket.put(name, data)
        await self._blobs.insert(Blob(sha256, name, len(data), self._clock.now()))

    async def put_blob_stream(self, sha256: str, content: AsyncIterable[bytes]) -> None:
        """`put_blob` for a content of any size, of which a few pieces are in memory."""
        pieces = in_pieces(content, PIECE_BYTES)
        first = await anext(pieces)
        if len(first) < PIECE_BYTES:
            await self.put_blob(sha256, first)
            return
        hashed = Hashed(sha256, first)
        if await self._blobs.touched([sha256]):
            async for _ in hashed.over(pieces):
                continue
        else:
            name = _object_name(sha256)
            await self._bucket.put_stream(name, hashed.over(pieces))
            await self._blobs.insert(Blob(sha256, name, hashed.size, self._clock.now()))

    async def blob(self, sha256: str, start: int = 0) -> AsyncIterator[bytes]:
        """The content of a file from byte `start` on, in pieces of at most 1 MiB.

        Raises NotFound, Unavailable."""
        with self._outages.noted():
            stored = await self._store.record(Blob, sha256)
        if stored is None:
            raise NotFound("blob", sha256, remedy="deploy the folder again")
        for position in range(start, stored.value.size, PIECE_BYTES):
            with self._outages.noted():
                piece = await self._bucket.get_range(stored.value.object_name, position, PIECE_BYTES)
            yield piece

    async def create_version(
        self, project: str | None, files: Sequence[FileEntry], spider: str | None = None
    ) -> Version:
        """The version of these files, new or as it exists, with its spiders pointing to it.

        `project` and `spider` None: as spider.toml says. Raises BadInput for a bad path, spider.toml or
        missing blob, and for a folder that is not that spider's."""
        _check_paths(files)
        await self._check_blobs(files)
        config = await self._config(project, files)
        if spider not in (None, config.name):
            raise BadInput(
                f"{MANIFEST} names {config.name!r}", field="name", remedy=f"deploy it as {config.name!r}"
            )
        version = Version(
            id=version_id(config.project, tuple(files)),
            project=config.project,
            files=tuple(files),
            spiders={config.name: config},
            created_at=self._clock.now(),
        )
        try:
            await self._store.insert_record(version.id, version)
        except Duplicate:  # the same files were deployed before
            version = await self._versions.get(version.id)
        for name in version.spiders:
            await self._point(Spider(version.project, name, version.id))
        self._feed.publish(LimitsChanged())
        return version

    async def _check_blobs(self, files: Sequence[FileEntry]) -> None:
        """Every file is uploaded, and as long as its entry says: by that a worker copies it. None of them is
        collected before the version names it."""
        unique = list(dict.fromkeys(_check_sha(entry.sha256) for entry in files))
        kept = await self._blobs.touched(unique)
        if absent := [sha for sha in unique if sha not in kept]:
            raise BadInput(
                f"{len(absent)} files are not uploaded, {absent[0]} first",
                field="files",
                remedy="upload them",
            )
        for entry in files:
            if kept[entry.sha256].size != entry.size:
                raise BadInput(
                    f"{entry.path!r} has {kept[entry.sha256].size} bytes, not {entry.size}",
                    field="files",
                    remedy="read the folder again",
                )

    async def _config(self, project: str | None, files: Sequence[FileEntry]) -> SpiderConfig:
        manifest = next((entry for entry in files if entry.path == MANIFEST), None)
        if manifest is None:
            raise BadInput(
                f"the folder has no {MANIFEST}",
                field="files",
                remedy='write one with at least name = "…" and command = "…"',
            )
        try:
            content = b"".join([piece async for piece in self.blob(manifest.sha256)])
            text = content.decode("utf-8-sig")  # some editors mark UTF-8
        except UnicodeDecodeError:
            raise BadInput(f"{MANIFEST} is not UTF-8", field=MANIFEST, remedy="save it as UTF-8") from None
        config = parse_spider_toml(text, file=MANIFEST)
        return config if project is None else replace(config, project=check_name(project, "project"))

    async def _point(self, spider: Spider) -> None:
        """Let new tasks of the spider get this version."""
        await self._versions.use(spider.version)
        key = spider_key(spider.project, spider.name)
        while True:
            stored = await self._store.record(Spider, key)
            try:
                if stored is None:
                    await self._store.insert_record(key, spider)
                elif stored.value != spider:
                    await self._store.replace_record(stored, spider, secrets.token_hex(8))
                return
            except (Conflict, Duplicate):
                continue


class Hashed:
    """Content that must have a certain SHA-256. `size` counts its bytes."""

    def __init__(self, sha256: str, first: bytes) -> None:
        """Raises BadInput for what is no hash."""
        self._sha256, self._first = _check_sha(sha256), first
        self._hash = hashlib.sha256(first)
        self.size = len(first)

    async def over(self, rest: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        """Pass all pieces on, then check. Hashed in a thread, which the event loop runs beside."""
        yield self._first
        async for piece in rest:
            await asyncio.to_thread(self._hash.update, piece)
            self.size += len(piece)
            yield piece
        self.check()

    def check(self) -> None:
        if self._hash.hexdigest() != self._sha256:
            raise BadInput("the content has another SHA-256", field="sha256", remedy="upload it again")


def _object_name(sha256: str) -> str:
    return f"blobs/{sha256}-{secrets.token_hex(4)}"


def _check_sha(sha: str) -> str:
    if not _SHA256.match(sha):
        raise BadInput(f"{sha!r} is not a SHA-256", field="sha256", remedy="give 64 hexadecimal digits")
    return sha


def _check_paths(files: Sequence[FileEntry]) -> None:
    seen: set[str] = set()
    for entry in files:
        parts = _split(entry.path)
        bad = any(part in ("", ".", "..") for part in parts) or "\0" in entry.path or "\\" in entry.path
        if bad or entry.path in seen or entry.mode & ~0o777 or entry.size < 0:
            raise BadInput(
                f"{entry.path!r} cannot be a file of a version",
                field="files",
                remedy="paths are relative, normal and unique; modes are permission bits",
            )
        seen.add(entry.path)
    folders = {"/".join(parts[:depth]) for parts in map(_split, seen) for depth in range(1, len(parts))}
    if clash := folders & seen:
        raise BadInput(
            f"{min(clash)!r} is both a file and a folder", field="files", remedy="deploy a real folder"
        )


def _split(path: str) -> list[str]:
    return path.split("/")
