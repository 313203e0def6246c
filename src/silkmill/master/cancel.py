"""Cancel: the durable wish to stop a task, and the order to the agent that runs it."""

from __future__ import annotations

from silkmill.domain.events import Cancel
from silkmill.domain.states import Phase
from silkmill.domain.task import Task, advance, request_cancel
from silkmill.master.tasks import Tasks
from silkmill.master.workers import Workers, cancel_order
from silkmill.ports.clock import Clock

ON_REQUEST = "cancelled on request"


class Canceller:
    """What no agent has accepted ends at once; the rest is stopped by its agent and ends by its Finish."""

    def __init__(self, tasks: Tasks, workers: Workers, clock: Clock) -> None:
        self._tasks, self._workers, self._clock = tasks, workers, clock

    async def request(self, task_id: str, *, force: bool = False, reason: str = ON_REQUEST) -> Task:
        """The task after the wish was committed; a final task as it is. Raises NotFound, Unavailable.

        `force` leaves out the graces, also of a cancel that was asked for before."""

        def decide(task: Task) -> Task | None:
            if task.state.final:
                return None
            if task.attempt is None or task.attempt.phase is Phase.OFFERED:
                return advance(task, Cancel(reason, self._clock.now()))
            wished = request_cancel(task, force=force, reason=reason)
            return None if wished == task else wished

        task = await self._tasks.change(task_id, decide)
        order = cancel_order(task)
        if order and task.attempt and task.attempt.session:
            self._workers.push(task.attempt.session, order)
        return task
