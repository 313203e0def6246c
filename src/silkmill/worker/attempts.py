"""One attempt's life on its node, as a list of steps, from its offer or adoption to its release."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from silkmill.domain.errors import StaleAttempt
from silkmill.domain.outcome import Facts
from silkmill.worker.ending import conclude, end_defective, end_stale, not_prepared, ship_rest, undone
from silkmill.worker.held import Ending, GivenBack, HeldAttempt, Stopped
from silkmill.worker.lost import end_lost
from silkmill.worker.prepare.errors import PreparationFailed
from silkmill.worker.preparing import prepare_held
from silkmill.worker.runners import RunnerFailed
from silkmill.worker.running import attend, counted, run

_log = structlog.get_logger(__name__)


class AttemptOwner:
    """`live` is the task that owns the attempt; the agent gives it one of the beginnings. `abandon` may be
    called at any time, as may the orders of `held`: `cancel` and `give_back`."""

    def __init__(self, held: HeldAttempt) -> None:
        self.held = held
        self._stale = False
        self._task: asyncio.Task[None] | None = None

    async def live(self, beginning: Callable[[], Awaitable[Ending]]) -> None:
        """From the beginning to the release. Nothing that goes wrong with one attempt ends the agent."""
        self._task = asyncio.current_task()
        try:
            await conclude(self.held, await beginning())
        except StaleAttempt:
            self._task = None
            await end_stale(self.held)
        except asyncio.CancelledError:
            if not self._stale or self._task is None:
                raise
            self._task.uncancel()
            self._task = None
            await end_stale(self.held)
        except Exception as error:
            self._task = None
            _log.exception("a defect of the agent ends an attempt", attempt=str(self.held.ref))
            await end_defective(self.held, error)
        finally:
            self.held.leave_slot()
            self.held.leave_environments()

    def abandon(self) -> None:
        """The master calls the attempt stale: kill it and say no more about it. Its last steps are let be."""
        if self._task is not None and not self._stale:
            self._stale = True
            self._task.cancel()

    async def from_offer(self) -> Ending:
        """Accept ▸ prepare ▸ run."""
        held = self.held
        order = await held.answered(lambda session: held.place.link.accept(session, held.ref))
        held.rules = order.config.outcome
        if order.cancel is not None:
            held.cancel(force=order.cancel.force)
        try:
            await prepare_held(held, order)
        except Stopped:
            return await undone(held)
        except PreparationFailed as failure:
            return await not_prepared(held, failure)
        return await self.from_prepared()

    async def from_prepared(self) -> Ending:
        """spec.json and work/ are complete; nothing was started."""
        try:
            return await run(self.held)
        except Stopped:
            return await undone(self.held)
        except RunnerFailed as failure:
            return await not_prepared(self.held, PreparationFailed(str(failure)))

    async def from_runner(self) -> Ending:
        """A runner that outlived its agent holds the attempt."""
        return await attend(self.held, started_known=True) or await self.from_dead_runner()

    async def from_dead_runner(self) -> Ending:
        """Runner and agent died: the files tell how it ended, or that it was lost.

        The cgroups of dead runners were emptied when the agent started."""
        held = self.held
        facts = held.outcome() or await end_lost(held.ref, held.place, held.remains(), with_worker=True)
        facts = counted(held, await ship_rest(held, facts))
        if held.giving_back is not None and facts.lost_with_worker and facts.verified:
            return GivenBack(held.giving_back)  # killed on purpose: it counts for nothing
        return facts

    async def from_stale(self) -> Ending:
        """Found on this node, but the master does not want it."""
        raise StaleAttempt(self.held.ref.task_id, self.held.ref.number)

    async def from_another_boot(self) -> Ending:
        """Nothing that was written then is certain; what the master has is all there is."""
        stored = self.held.streams.stored
        return Facts(
            ended_at=self.held.place.clock.now(),
            started=True,
            lost_with_worker=True,
            log_closed=False,
            log_size=stored.log_offset,
            items_size=stored.items_offset,
            items_count=stored.items_count,
        )
