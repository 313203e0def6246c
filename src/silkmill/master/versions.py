"""Versions as tasks need them: immutable, so each is read once and kept."""

from __future__ import annotations

from collections import OrderedDict

from silkmill.domain.errors import NotFound
from silkmill.domain.spider import Spider, SpiderConfig
from silkmill.domain.task import Task
from silkmill.domain.version import Version
from silkmill.ports.store import Store

_KEPT = 256


def spider_key(project: str, name: str) -> str:
    return f"{project}/{name}"


class Versions:
    """Reads of versions and spiders."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: OrderedDict[str, Version] = OrderedDict()

    async def get(self, version_id: str) -> Version:
        """Raises NotFound."""
        if version_id in self._kept:
            self._kept.move_to_end(version_id)
            return self._kept[version_id]
        stored = await self._store.record(Version, version_id)
        if stored is None:
            raise NotFound("version", version_id, remedy="deploy the spider's folder")
        self._kept[version_id] = stored.value
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return stored.value

    async def spider(self, project: str, name: str) -> Spider:
        """Raises NotFound."""
        stored = await self._store.record(Spider, spider_key(project, name))
        if stored is None:
            raise NotFound("spider", spider_key(project, name), remedy="deploy its folder, or check the name")
        return stored.value

    async def config(self, project: str, name: str, version_id: str) -> SpiderConfig:
        """What a version says about one of its spiders. Raises NotFound."""
        version = await self.get(version_id)
        if version.project != project or name not in version.spiders:
            raise NotFound(
                "spider",
                f"{spider_key(project, name)}@{version_id}",
                remedy=f"`silkmill versions {spider_key(project, name)}` lists those it has",
            )
        return version.spiders[name]

    async def config_of(self, task: Task) -> SpiderConfig:
        return await self.config(task.project, task.spider, task.version)
