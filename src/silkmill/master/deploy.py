"""Deploy: makes a version of the files of a folder, and lets spiders point to it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from silkmill.domain.errors import BadInput, Duplicate, NotFound
from silkmill.domain.paths import Tree, fault_of
from silkmill.domain.spider import SpiderConfig
from silkmill.domain.states import State
from silkmill.domain.task import Task
from silkmill.domain.version import FileEntry, Listing, Version, fault_of_blob, version_id
from silkmill.master.folders import MANIFEST, Folders
from silkmill.master.listings import Listings
from silkmill.master.spiders import Spiders
from silkmill.master.uploads import Uploads
from silkmill.master.versions import Versions
from silkmill.ports.clock import Clock
from silkmill.ports.store import Store

TICK_SECONDS = 60.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Deployed:
    """`listing`: the task that finds the spiders of this version, which has none before."""

    version: Version
    listing: str | None = None


class Deploy:
    """Blobs first, then the version: one conditional write each, so a cut deploy leaves only unused blobs."""

    def __init__(
        self,
        store: Store,
        uploads: Uploads,
        versions: Versions,
        spiders: Spiders,
        listings: Listings,
        clock: Clock,
    ) -> None:
        self._store, self._uploads, self._versions, self._spiders = store, uploads, versions, spiders
        self._listings, self._clock = listings, clock
        self._folders = Folders(uploads.blob)
        self._one_listing_at_a_time = asyncio.Lock()

    async def create_version(
        self, project: str | None, files: Sequence[FileEntry], spider: str | None = None
    ) -> Deployed:
        """The version of these files, new or as it exists; its spiders point to it, their schedules follow.

        `project` and `spider` None: as spider.toml says. The spiders of a Scrapy project must be found first:
        when the task that does it has finished, ask again. Raises BadInput for a bad path, spider.toml or
        missing blob, and for a folder that is not that spider's."""
        _check_paths(files)
        await self._check_blobs(files)
        folder = await self._folders.read(project, files)
        if folder.lister is None:
            return await self._release(await self._insert(files, folder.spiders, None, spider), spider)
        version = await self._insert(files, {}, folder.lister, None)
        async with self._one_listing_at_a_time:
            version = await self._versions.get(version.id)
            if not version.spiders:
                task = await self._listings.task_of(version)
                if task.state is not State.FINISHED:
                    return Deployed(version, listing=task.id)
                version = await self._take_over(version, task)
            deployed = await self._release(version, spider)
            await self._listings.forget(version.id)
        return deployed

    async def tick(self) -> None:
        """Take over what was found while nobody asked for it again. Raises Unavailable."""
        for task in await self._listings.changed():
            async with self._one_listing_at_a_time:
                listing = await self._listings.followed(task)
                if listing is not None and task.state is State.FINISHED:
                    await self._finish(listing, task)
            self._listings.done(task)

    async def _finish(self, listing: Listing, task: Task) -> None:
        """Every step may be repeated after a crash."""
        try:
            version = await self._versions.get(listing.version)
            if not version.spiders:
                version = await self._take_over(version, task)
            await self._spiders.release(version, listing.asked_at)
            await self._listings.forget(version.id)
        except (BadInput, NotFound) as refusal:
            _log.error("spiders are refused", version=listing.version, cause=str(refusal))
            await self._listings.refuse(listing)

    async def _take_over(self, version: Version, task: Task) -> Version:
        spiders = await self._folders.listed(version, await self._listings.found(task))
        await self._spiders.check_files(version.project, spiders.values())
        return await self._versions.change(version.id, lambda latest: replace(latest, spiders=spiders))

    async def _insert(
        self,
        files: Sequence[FileEntry],
        spiders: Mapping[str, SpiderConfig],
        lister: SpiderConfig | None,
        spider: str | None,
    ) -> Version:
        """A version, or the one that was made of these files before."""
        project = (lister or next(iter(spiders.values()))).project
        _check_holds(spiders, spider)
        await self._spiders.check_files(project, spiders.values())
        version = Version(
            id=version_id(project, tuple(files)),
            project=project,
            files=tuple(files),
            spiders=dict(spiders),
            created_at=self._clock.now(),
            lister=lister,
        )
        try:
            await self._store.insert_record(version.id, version)
        except Duplicate:
            return await self._versions.get(version.id)
        return version

    async def _release(self, version: Version, spider: str | None) -> Deployed:
        _check_holds(version.spiders, spider)
        await self._spiders.release(version)
        return Deployed(version)

    async def _check_blobs(self, files: Sequence[FileEntry]) -> None:
        """Every file is uploaded, as long as its entry says, and none is collected before the version names
        it."""
        now = self._clock.now()
        for entry in files:
            blob = await self._uploads.stored(entry.sha256)
            if fault := fault_of_blob(blob, entry, now):
                detail, remedy = fault
                raise BadInput(detail, field="files", remedy=remedy)


def _check_holds(spiders: Mapping[str, SpiderConfig], spider: str | None) -> None:
    if spider not in (None, *spiders):
        named = ", ".join(map(repr, spiders))
        raise BadInput(f"{MANIFEST} names {named}", field="name", remedy="deploy it under its own name")


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
