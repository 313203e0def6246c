"""The local link: an agent and its master in one process, with plain calls between them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from silkmill.domain.attempt import AttemptRef
from silkmill.domain.outcome import Facts
from silkmill.master.collector import Collector
from silkmill.master.uploads import Uploads
from silkmill.master.workers import Workers
from silkmill.ports.link import CancelOrder, Command, Registered, Registration, Report, WorkOrder
from silkmill.runtime import faults


class LocalLink:
    """Implements ports.link.MasterLink. The fault point stands for an answer that is lost on its way."""

    def __init__(self, workers: Workers, collector: Collector, uploads: Uploads) -> None:
        self._workers, self._collector, self._uploads = workers, collector, uploads

    async def register(self, registration: Registration) -> Registered:
        registered = await self._workers.register(registration)
        await faults.point("link.answer")
        return registered

    def commands(self, session: str) -> AsyncIterator[Command]:
        return self._workers.commands(session)

    async def heartbeat(self, node: str, session: str) -> tuple[CancelOrder, ...]:
        cancels = await self._workers.heartbeat(node, session)
        await faults.point("link.answer")
        return cancels

    async def accept(self, session: str, ref: AttemptRef) -> WorkOrder:
        order = await self._collector.accept(session, ref)
        await faults.point("link.answer")
        return order

    async def refuse(self, session: str, ref: AttemptRef, reason: str) -> None:
        await self._collector.refuse(session, ref, reason)
        await faults.point("link.answer")

    async def preparing(self, session: str, ref: AttemptRef, doing: str, *, away: bool) -> None:
        await self._collector.preparing(session, ref, doing, away=away)

    async def start(self, session: str, ref: AttemptRef, pid: int, at: datetime) -> CancelOrder | None:
        cancel = await self._collector.start(session, ref, pid, at)
        await faults.point("link.answer")
        return cancel

    async def slot_free(self, session: str, ref: AttemptRef) -> None:
        await self._collector.slot_free(session, ref)

    async def exit(self, session: str, ref: AttemptRef) -> None:
        await self._collector.exit(session, ref)
        await faults.point("link.answer")

    async def append_log(self, session: str, ref: AttemptRef, offset: int, data: bytes) -> int:
        stored = await self._collector.append_log(session, ref, offset, data)
        await faults.point("link.answer")
        return stored

    async def append_items(
        self, session: str, ref: AttemptRef, offset: int, first_ordinal: int, records: Sequence[bytes]
    ) -> int:
        stored = await self._collector.append_items(session, ref, offset, first_ordinal, records)
        await faults.point("link.answer")
        return stored

    async def statistics(self, session: str, reports: Sequence[Report]) -> None:
        await self._collector.statistics(session, reports)

    async def finish(self, session: str, ref: AttemptRef, facts: Facts) -> None:
        await self._collector.finish(session, ref, facts)
        await faults.point("link.answer")

    async def give_back(self, session: str, ref: AttemptRef, reason: str) -> None:
        await self._collector.give_back(session, ref, reason)
        await faults.point("link.answer")

    def blob(self, sha256: str, start: int = 0) -> AsyncIterator[bytes]:
        return self._uploads.blob(sha256, start)
