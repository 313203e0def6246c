"""Versions as tasks need them: immutable, so each is read once and kept."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from silkmill.domain.errors import Conflict, NotFound
from silkmill.domain.spider import Spider, SpiderConfig
from silkmill.domain.task import Task
from silkmill.domain.version import Version
from silkmill.ports.clock import Clock
from silkmill.ports.store import Store, Stored

_KEPT = 256
REREAD_SECONDS = 3600.0
"""Another master may have doomed a version that is kept here: it goes a day after that."""


def spider_key(project: str, name: str) -> str:
    return f"{project}/{name}"


class Versions:
    """Reads of versions and spiders."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._kept: OrderedDict[str, tuple[float, Version]] = OrderedDict()

    async def get(self, version_id: str) -> Version:
        """Raises NotFound."""
        read_at, kept = self._kept.get(version_id, (0.0, None))
        if kept is not None and self._clock.boottime() - read_at < REREAD_SECONDS:
            self._kept.move_to_end(version_id)
            return kept
        return self._keep((await self._read(version_id)).value)

    async def use(self, version_id: str) -> Version:
        """For what is going to need it: it is not deleted then. Raises NotFound."""
        version = await self.get(version_id)
        return version if version.doomed_at is None else await self.change(version_id, _spared)

    async def change(self, version_id: str, change: Callable[[Version], Version]) -> Version:
        """What is no part of its content; `change` may be called several times. Raises NotFound."""
        while True:
            stored = await self._read(version_id)
            changed = change(stored.value)
            if changed == stored.value:
                return self._keep(changed)
            try:
                await self._store.replace_record(stored, changed, secrets.token_hex(8))
            except Conflict:
                continue
            return self._keep(changed)

    def forget(self, version_id: str) -> None:
        """Its record has changed."""
        self._kept.pop(version_id, None)

    async def _read(self, version_id: str) -> Stored[Version]:
        stored = await self._store.record(Version, version_id)
        if stored is None:
            self.forget(version_id)
            raise NotFound("version", version_id, remedy="deploy the spider's folder")
        return stored

    def _keep(self, version: Version) -> Version:
        self._kept[version.id] = self._clock.boottime(), version
        self._kept.move_to_end(version.id)
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return version

    async def spider(self, project: str, name: str) -> Spider:
        """Raises NotFound."""
        stored = await self._store.record(Spider, spider_key(project, name))
        if stored is None:
            raise NotFound("spider", spider_key(project, name), remedy="deploy its folder, or check the name")
        return stored.value

    async def config(self, project: str, name: str, version_id: str) -> SpiderConfig:
        """What a version says about one of its spiders. Raises NotFound."""
        version = await self.get(version_id)
        config = _config(version, project, name)
        if config is None and version.lister is not None:  # another master may know its spiders by now
            self.forget(version_id)
            config = _config(await self.get(version_id), project, name)
        if config is None:
            raise NotFound(
                "spider",
                f"{spider_key(project, name)}@{version_id}",
                remedy=f"`silkmill versions {spider_key(project, name)}` lists those it has",
            )
        return config

    async def config_of(self, task: Task) -> SpiderConfig:
        return await self.config(task.project, task.spider, task.version)


def _config(version: Version, project: str, name: str) -> SpiderConfig | None:
    if version.project != project:
        return None
    if version.lister is not None and name == version.lister.name:
        return version.lister
    return version.spiders.get(name)


def _spared(version: Version) -> Version:
    return replace(version, doomed_at=None)
