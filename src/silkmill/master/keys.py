"""Keys: names that submitters give to their tasks, so that the same line submitted again is the same task."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace

from silkmill.domain.errors import BadInput
from silkmill.domain.task import Task
from silkmill.master.submission import Submission
from silkmill.ports.store import Store
from silkmill.runtime.loop import in_turns

LOOKED_UP_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Keyed:
    """A line that has a key. `index` counts from 0."""

    index: int
    project: str
    spider: str
    key: str
    digest: str

    @property
    def name(self) -> tuple[str, str, str]:
        return self.project, self.spider, self.key


def with_digest(line: Submission) -> Submission:
    """The line as it was given, with the hash of all that it says; one without a key as it is.

    Of what is given alone, and in an order of its own: tasks of older versions are compared by it too."""
    if line.key is None:
        return line
    content = {
        "version": line.version,
        "params": line.params,
        "env": line.env,
        "settings": line.settings,
        "priority": line.priority,
        "tags": line.tags,
        "placement": line.placement and asdict(line.placement),
    }
    given = {name: value for name, value in content.items() if value not in (None, {}, ())}
    digest = hashlib.sha256(json.dumps(given, sort_keys=True).encode())
    return replace(line, key_digest=digest.hexdigest()[:32])


def keyed(index: int, line: Submission) -> list[Keyed]:
    """What of a line is about its key, if it has one."""
    if line.key is None:
        return []
    return [Keyed(index, line.project, line.spider, line.key, line.key_digest or "")]


class Keys:
    """A key stands for its task as long as that is kept."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._reserved: set[tuple[str, str, str]] = set()
        self._released = asyncio.Condition()

    @asynccontextmanager
    async def reserved(self, lines: Sequence[Keyed]) -> AsyncIterator[None]:
        """Around the making of their tasks: another submission with one of these keys waits.

        Raises BadInput when a key belongs to other content."""
        names = {line.name for line in lines}
        async with self._released:
            await self._released.wait_for(lambda: self._reserved.isdisjoint(names))
            self._reserved |= names
        try:
            await self._check(lines)
            yield
        finally:
            self._reserved -= names
            async with self._released:
                self._released.notify_all()

    async def tasks(self, lines: Sequence[Keyed]) -> dict[int, Task]:
        """By line, the tasks that have these keys. Raises BadInput for one with other content."""
        found = await self._tasks(lines)
        async for line in in_turns(lines):
            task = found.get(line.index)
            if task is not None and task.key_digest != line.digest:
                raise _taken(line, f"task {task.id}")
        return found

    async def _tasks(self, lines: Iterable[Keyed]) -> dict[int, Task]:
        of_spider: dict[tuple[str, str], list[Keyed]] = defaultdict(list)
        for line in lines:
            of_spider[line.project, line.spider].append(line)
        found: dict[int, Task] = {}
        for (project, spider), some in of_spider.items():
            for start in range(0, len(some), LOOKED_UP_AT_ONCE):
                chunk = some[start : start + LOOKED_UP_AT_ONCE]
                tasks = await self._store.keyed(project, spider, [line.key for line in chunk])
                by_key = {task.key: task for task in tasks}
                found |= {line.index: by_key[line.key] for line in chunk if line.key in by_key}
        return found

    async def _check(self, lines: Sequence[Keyed]) -> None:
        first: dict[tuple[str, str, str], Keyed] = {}
        async for line in in_turns(lines):
            before = first.setdefault(line.name, line)
            if before.digest != line.digest:
                raise _taken(line, f"line {before.index + 1}")
        await self.tasks(lines)


def _taken(line: Keyed, whose: str) -> BadInput:
    return BadInput(
        f"line {line.index + 1}: the key {line.key!r} belongs to {whose}, which has other content",
        field=f"lines[{line.index}].key",
        remedy="give another key, or the same content",
    )
