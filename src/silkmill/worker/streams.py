"""The two streams of an attempt on their way to the master."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from silkmill.domain.attempt import AttemptRef, Positions
from silkmill.domain.errors import StaleAttempt
from silkmill.domain.outcome import Facts
from silkmill.ports.link import MasterLink
from silkmill.worker.batches import Batch, ItemBatches, LogBatches
from silkmill.worker.session import Session
from silkmill.worker.shipper import Shipper


class Streams:
    """Shipping starts with the first bytes."""

    def __init__(self, ref: AttemptRef, directory: Path, link: MasterLink, session: Session) -> None:
        self._ref = ref
        self._link = link
        self._session = session
        self._items = ItemBatches(directory)
        self._log = LogBatches(directory)
        self._shippers = (Shipper(self._log, self._send_log), Shipper(self._items, self._send_items))
        self._group: asyncio.TaskGroup | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def stored(self) -> Positions:
        """The positions that the master has acknowledged."""
        return Positions(self._log.offset, self._items.offset, self._items.ordinal)

    @property
    def rest_is_small(self) -> bool:
        """Whether one more batch of each stream is all that is left."""
        return all(shipper.fits_one_batch for shipper in self._shippers)

    def resume_at(self, stored: Positions) -> None:
        """Go on where an agent before us was acknowledged. Call it before anything is shipped."""
        self._log.offset = stored.log_offset
        self._items.offset, self._items.ordinal = stored.items_offset, stored.items_count

    def ship_in(self, group: asyncio.TaskGroup) -> None:
        """From now on the tasks of `group` ship; they end when everything is acknowledged."""
        self._group = group
        if any(shipper.is_behind for shipper in self._shippers):
            self.start()

    @contextlib.asynccontextmanager
    async def shipping(self) -> AsyncIterator[asyncio.TaskGroup]:
        """Inside, what is written is shipped, and what the caller gives to the group is done beside it.

        Leaving it waits for what is known to be the end; `stop` before does not. Raises StaleAttempt."""
        try:
            async with asyncio.TaskGroup() as group:
                self.ship_in(group)
                yield group
        except* StaleAttempt as failures:
            raise _stale_of(failures) from None
        finally:
            self.stop()

    def grew(self, log: int, items: int, count: int) -> None:
        """So much has been written in all: bytes, bytes, items."""
        log_shipper, items_shipper = self._shippers
        log_shipper.grew(log, 0)
        items_shipper.grew(items, count)
        self.start()

    def start(self) -> None:
        group, self._group = self._group, None
        if group is not None:
            self._tasks = [
                group.create_task(shipper.run()) for shipper in self._shippers if not shipper.complete
            ]

    def stop(self) -> None:
        """Ship no more."""
        self._group = None
        for task in self._tasks:
            task.cancel()

    def end_at(self, facts: Facts) -> None:
        """Nothing is written beyond the sizes of the facts."""
        log_shipper, items_shipper = self._shippers
        log_shipper.end_at(facts.log_size, 0)
        items_shipper.end_at(facts.items_size, facts.items_count)
        self.start()

    async def ship(self) -> None:
        """Ship what the files hold up to the end that was set. Raises StaleAttempt, MissingBytes."""
        for shipper in self._shippers:
            await shipper.run()

    async def recheck(self) -> None:
        """Learn what is really stored, and ship what is not. Raises StaleAttempt, MissingBytes."""
        for shipper in self._shippers:
            await shipper.recheck()

    async def _send_log(self, batch: Batch) -> int:
        return await self._session.answered(
            lambda session: self._link.append_log(session, self._ref, batch.offset, batch.data)
        )

    async def _send_items(self, batch: Batch) -> int:
        return await self._session.answered(
            lambda session: self._link.append_items(
                session, self._ref, batch.offset, batch.first_ordinal, batch.records
            )
        )


def _stale_of(failures: BaseExceptionGroup[StaleAttempt]) -> StaleAttempt:
    """The refusal in a group of them."""
    first = failures.exceptions[0]
    return _stale_of(first) if isinstance(first, BaseExceptionGroup) else first
