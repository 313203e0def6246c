"""Projects: what is set for a project, which exists as soon as somebody deploys a spider to it."""

from __future__ import annotations

import secrets

from silkmill.domain.errors import BadInput, Conflict, Duplicate
from silkmill.domain.project import Project
from silkmill.domain.spider import Spider, check_name
from silkmill.master.feed import Feed, LimitsChanged
from silkmill.master.records import every_record
from silkmill.ports.store import Store

MOST = 100_000


class Projects:
    """Reads and writes of project records."""

    def __init__(self, store: Store, feed: Feed) -> None:
        self._store, self._feed = store, feed

    async def get(self, name: str) -> Project:
        """As it was set, or without limits."""
        stored = await self._store.record(Project, name)
        return stored.value if stored else Project(name)

    async def every(self) -> list[Project]:
        """Those that have a spider or a limit, by name."""
        limited = [stored.value async for stored in every_record(self._store, Project)]
        projects = {project.name: project for project in limited if project.max_concurrency}
        async for spider in every_record(self._store, Spider):
            name = spider.value.project
            projects.setdefault(name, Project(name))
        return [projects[name] for name in sorted(projects)]

    async def set(self, name: str, *, max_concurrency: int) -> Project:
        """Takes effect for the next claim; what runs already runs on. Raises BadInput."""
        if not 0 <= max_concurrency <= MOST:
            raise BadInput(
                f"max_concurrency is {max_concurrency}",
                field="max_concurrency",
                remedy=f"give 1 to {MOST:,}, or 0 for no limit",
            )
        project = Project(check_name(name, "project"), max_concurrency)
        try:
            while not await self._written(project):
                continue
        finally:  # a write without an answer may have been made
            self._feed.publish(LimitsChanged())
        return project

    async def _written(self, project: Project) -> bool:
        stored = await self._store.record(Project, project.name)
        try:
            if stored is None:
                await self._store.insert_record(project.name, project)
            elif stored.value != project:
                await self._store.replace_record(stored, project, secrets.token_hex(8))
        except (Conflict, Duplicate):
            return False
        return True
