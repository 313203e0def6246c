"""Deploy: takes the files of a folder as blobs, and makes a version of them that spiders point to."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from dataclasses import replace

from silkmill.domain.errors import BadInput, Duplicate, NotFound
from silkmill.domain.paths import Tree, fault_of
from silkmill.domain.spider import SpiderConfig, check_name
from silkmill.domain.spider_toml import parse_spider_toml
from silkmill.domain.version import Blob, FileEntry, Version, fault_of_blob, version_id
from silkmill.master.blob_objects import object_name
from silkmill.master.blob_records import BlobRecords
from silkmill.master.hashed import Hashed, check_sha
from silkmill.master.outages import Outages
from silkmill.master.spiders import Spiders
from silkmill.master.versions import Versions
from silkmill.ports.bucket import Bucket
from silkmill.ports.clock import Clock
from silkmill.ports.store import Store
from silkmill.runtime.pieces import in_pieces

MANIFEST = "spider.toml"
MOST_MANIFEST_BYTES = 1 << 20
"""It is read between two other requests: so many bytes take a few tenths of a second."""
PIECE_BYTES = 1 << 20
"""What a link carries in one message."""


class Deploy:
    """Blobs first, then the version: one conditional write each, so a cut deploy leaves only unused blobs."""

    def __init__(
        self,
        store: Store,
        bucket: Bucket,
        versions: Versions,
        spiders: Spiders,
        outages: Outages,
        clock: Clock,
    ) -> None:
        self._store, self._bucket, self._versions, self._spiders = store, bucket, versions, spiders
        self._outages, self._clock = outages, clock
        self._blobs = BlobRecords(store, bucket, clock)

    async def missing(self, shas: Iterable[str]) -> list[str]:
        """Those of the blobs that must be uploaded, in the order given. The others are kept for the version
        that is made of them. Raises BadInput."""
        unique = list(dict.fromkeys(check_sha(sha) for sha in shas))
        kept = await self._blobs.touched(unique)
        return [sha for sha in unique if sha not in kept]

    async def put_blob(self, sha256: str, data: bytes) -> None:
        """Store a file's content. A repeat is harmless. Raises BadInput when it has another hash."""
        Hashed(sha256, data).check()
        if await self._blobs.touched([sha256]):
            return
        name = object_name(sha256, self._clock.now())
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
            name = object_name(sha256, self._clock.now())
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
        """The version of these files, new or as it exists; its spiders point to it, their schedules follow.

        `project` and `spider` None: as spider.toml says. Raises BadInput for a bad path, spider.toml or
        missing blob, and for a folder that is not that spider's."""
        _check_paths(files)
        await self._check_blobs(files)
        spiders = await self._configs(project, files)
        if spider not in (None, *spiders):
            named = ", ".join(map(repr, spiders))
            raise BadInput(f"{MANIFEST} names {named}", field="name", remedy="deploy it under its own name")
        project = next(iter(spiders.values())).project
        await self._spiders.check_files(project, spiders.values())
        version = Version(
            id=version_id(project, tuple(files)),
            project=project,
            files=tuple(files),
            spiders=spiders,
            created_at=self._clock.now(),
        )
        try:
            await self._store.insert_record(version.id, version)
        except Duplicate:  # the same files were deployed before
            version = await self._versions.get(version.id)
        await self._spiders.release(version)
        return version

    async def _check_blobs(self, files: Sequence[FileEntry]) -> None:
        """Every file is uploaded, as long as its entry says, and none is collected before the version names
        it."""
        now = self._clock.now()
        for entry in files:
            blob = await self._blobs.stored(check_sha(entry.sha256))
            if fault := fault_of_blob(blob, entry, now):
                detail, remedy = fault
                raise BadInput(detail, field="files", remedy=remedy)

    async def _configs(self, project: str | None, files: Sequence[FileEntry]) -> dict[str, SpiderConfig]:
        try:
            content = b"".join([piece async for piece in self.blob(_manifest_of(files).sha256)])
            text = content.decode("utf-8-sig")  # some editors mark UTF-8
        except UnicodeDecodeError:
            raise BadInput(f"{MANIFEST} is not UTF-8", field=MANIFEST, remedy="save it as UTF-8") from None
        spiders = parse_spider_toml(text, file=MANIFEST)
        if project is None:
            return spiders
        check_name(project, "project")
        return {name: replace(config, project=project) for name, config in spiders.items()}


def _manifest_of(files: Sequence[FileEntry]) -> FileEntry:
    manifest = next((entry for entry in files if entry.path == MANIFEST), None)
    if manifest is None:
        raise BadInput(
            f"the folder has no {MANIFEST}",
            field="files",
            remedy='write one with at least name = "…" and command = "…"',
        )
    if manifest.size > MOST_MANIFEST_BYTES:
        raise BadInput(
            f"{MANIFEST} has {manifest.size} bytes",
            field=MANIFEST,
            remedy=f"keep data in files of their own: it may have {MOST_MANIFEST_BYTES}",
        )
    return manifest


def _check_paths(files: Sequence[FileEntry]) -> None:
    tree = Tree()
    for entry in files:
        if fault := fault_of(entry.path):
            raise BadInput(f"{entry.path!r} {fault}", field="files", remedy="rename it, or leave it out")
        if entry.mode & ~0o777 or entry.size < 0:
            raise BadInput(
                f"{entry.path!r} has the mode {entry.mode} and the size {entry.size}",
                field="files",
                remedy="a mode is permission bits, a size is bytes",
            )
        if clash := tree.clash_of_file(entry.path):
            raise BadInput(clash, field="files", remedy="deploy a real folder")
