"""A tick of the upkeep looks at every log that is due, whatever becomes of one of them."""

from __future__ import annotations

from datetime import datetime

import pytest

from silkmill.domain.errors import Unavailable
from silkmill.domain.task import Task
from silkmill.master.upkeep import Upkeep
from support.master_rig import FakeClock
from support.task_values import a_task


class Due:
    """A store in which two logs are always due."""

    tasks = (a_task(id="first"), a_task(id="second"))

    async def due_upkeep(self, now: datetime, limit: int) -> list[Task]:
        return list(self.tasks)


class Keeper:
    def __init__(self) -> None:
        self.kept: list[str] = []

    async def upkeep(self, task: Task, now: datetime) -> None:
        if task.id == "first":
            raise Unavailable("bucket", "this one does not work")
        self.kept.append(task.id)


async def test_a_log_that_fails_does_not_hold_up_the_next() -> None:
    keeper = Keeper()
    with pytest.raises(Unavailable, match="this one"):
        await Upkeep(Due(), keeper, FakeClock()).tick()  # type: ignore[arg-type]
    assert keeper.kept == ["second"]
