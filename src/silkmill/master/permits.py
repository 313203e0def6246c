"""Permits as one process knows them: the limits of spiders and projects, and the attempts that are open."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from silkmill.domain.attempt import AttemptRef
from silkmill.domain.errors import NotFound
from silkmill.domain.permits import Limit, free_permit, has_room
from silkmill.domain.task import Task
from silkmill.master.feed import Hint, LimitsChanged, Resync, TaskChanged
from silkmill.master.projects import Projects
from silkmill.master.versions import Versions, spider_key

Owner = tuple[str, str]
"""Project and spider."""
Permits = tuple[str | None, str | None]
"""Of the spider and of the project; None where there is no limit."""
NO_PERMITS: Permits = (None, None)


class PermitBook:
    """What it believes only saves tries: the store refuses a permit that somebody holds.

    Every open attempt counts, so that a limit that is set while tasks run holds for the next one."""

    def __init__(self, versions: Versions, projects: Projects) -> None:
        self._versions, self._projects = versions, projects
        self._limits: dict[Owner, tuple[Limit, ...]] = {}
        self._changes = 0
        self._holders: dict[str, tuple[AttemptRef, Owner]] = {}
        self._held: dict[str, dict[str, str | None]] = defaultdict(dict)
        """By owner of a limit, by task: the permit that its open attempt holds."""
        self._meanwhile: set[str] | None = None
        """Ids of the tasks that were noticed while the open attempts are read."""

    def knows(self, owner: Owner) -> bool:
        """Its limits were learnt, and none has changed since."""
        return owner in self._limits

    def may_be_limited(self, owner: Owner) -> bool:
        """For one that is not known too."""
        return self._limits.get(owner) != ()

    async def learn(self, owner: Owner) -> None:
        """Know the limits of a spider and its project. Raises Unavailable."""
        while owner not in self._limits:
            changes = self._changes
            most = (await self._projects.get(owner[0])).max_concurrency
            limits = Limit(spider_key(*owner), await self._of_spider(*owner)), Limit(owner[0], most)
            if changes == self._changes:  # else one of them may be old
                self._limits[owner] = limits if any(limit.most for limit in limits) else ()

    def may_be_free(self, owner: Owner) -> bool:
        """For one that is not known too."""
        return not self.full(owner)

    def free(self, owner: Owner) -> Permits | None:
        """Permits for one more attempt of the spider, whose limits are known; None when it must wait."""
        if not self._limits[owner]:
            return NO_PERMITS
        spider, project = (self._free(limit) if limit.most else "" for limit in self._limits[owner])
        if spider is None or project is None:
            return None
        return spider or None, project or None

    def taken(self, owner: str) -> list[str]:
        """Ids of the tasks whose open attempts count for `<project>/<spider>` or `<project>`."""
        return sorted(self._held[owner])

    def full(self, owner: Owner) -> list[str]:
        """What a spider waits for, as far as is known: its own limit, its project's, or neither."""
        limits = self._limits.get(owner, ())
        return [limit.owner for limit in limits if not has_room(limit, len(self._held[limit.owner]))]

    def take(self, ref: AttemptRef, owner: Owner, permits: Permits) -> None:
        """For an attempt whose claim is on its way."""
        self.give(ref)
        self._is_newer(ref.task_id)
        self._holders[ref.task_id] = ref, owner
        self._held[spider_key(*owner)][ref.task_id], self._held[owner[0]][ref.task_id] = permits

    def give(self, ref: AttemptRef) -> None:
        """The claim was not made, or its attempt is closed."""
        held, owner = self._holders.get(ref.task_id, (None, ("", "")))
        if held is not None and held.number <= ref.number:
            del self._holders[ref.task_id]
            del self._held[spider_key(*owner)][ref.task_id], self._held[owner[0]][ref.task_id]

    def begin_reading(self) -> None:
        """What changes from now on is newer than what is read."""
        self._meanwhile = set()

    def end_reading(self, attempts: Sequence[Task], is_claiming: Callable[[AttemptRef], bool]) -> None:
        """All open attempts as they were read; claims that are on their way stay."""
        meanwhile, self._meanwhile = self._meanwhile or set(), None
        read = {task.ref for task in attempts}
        for ref, _ in list(self._holders.values()):
            if ref not in read and ref.task_id not in meanwhile and not is_claiming(ref):
                self.give(ref)
        for task in attempts:
            if task.id not in meanwhile:
                self._note(task)

    def notice(self, hint: Hint) -> None:
        """For the feed."""
        if isinstance(hint, LimitsChanged | Resync):
            self._limits.clear()
            self._changes += 1
        elif isinstance(hint, TaskChanged):
            self._is_newer(hint.task.id)
            self._note(hint.task)

    def _is_newer(self, task_id: str) -> None:
        if self._meanwhile is not None:
            self._meanwhile.add(task_id)

    def _note(self, task: Task) -> None:
        held, _ = self._holders.get(task.id, (None, None))
        if held is not None and held.number > task.last_number:  # its claim is not committed yet
            return
        if task.attempt is None or task.ref is None:
            if held is not None:
                self.give(held)
        elif held != task.ref:
            permits = task.attempt.spider_permit, task.attempt.project_permit
            self.take(task.ref, (task.project, task.spider), permits)

    def _free(self, limit: Limit) -> str | None:
        return free_permit(limit, self._held[limit.owner].values())

    async def _of_spider(self, project: str, name: str) -> int:
        """As the version says that new tasks of the spider get."""
        try:
            spider = await self._versions.spider(project, name)
            return (await self._versions.config(project, name, spider.version)).max_concurrency
        except NotFound:
            return 0
