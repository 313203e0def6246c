"""The objects of blobs in the bucket: their names, and those that no record names."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime, timedelta

import structlog

from silkmill.domain.version import Blob
from silkmill.ports.bucket import Bucket
from silkmill.ports.clock import Clock
from silkmill.ports.store import Store

TICK_SECONDS = 60.0
SWEEP_SECONDS = 6 * 3600.0
"""From one list of all objects to the next."""
OBJECTS_AT_ONCE = 1000
UPLOADED = timedelta(hours=24)
"""An object this old without a record waits for none: its upload was cut short."""
FOLDER = "blobs/"

_NAME = re.compile(FOLDER + r"(?P<sha256>[0-9a-f]{64})-((?P<made_ms>\d{13})-)?[0-9a-f]{8}")

_log = structlog.get_logger(__name__)


def object_name(sha256: str, at: datetime) -> str:
    """A new one for each upload. Its time, in milliseconds, tells a leftover from what is being uploaded."""
    return f"{FOLDER}{sha256}-{int(at.timestamp() * 1000):013}-{secrets.token_hex(4)}"


class Leftovers:
    """Any number of masters may run it."""

    def __init__(self, store: Store, bucket: Bucket, clock: Clock) -> None:
        self._store, self._bucket, self._clock = store, bucket, clock
        self._next_sweep_at = clock.boottime()
        self._names: list[str] = []
        """Of this sweep: those that are still to be looked at."""

    async def tick(self) -> None:
        """Look at some, and delete those that no record names. Raises Unavailable; a repeat goes on."""
        if not self._names:
            await self._begin()
        left = [name for name in self._names[-OBJECTS_AT_ONCE:] if await self._is_left(name)]
        await self._bucket.delete(left)
        del self._names[-OBJECTS_AT_ONCE:]
        if left:
            _log.info("objects deleted whose upload was cut short", objects=len(left))

    async def _begin(self) -> None:
        if self._clock.boottime() >= self._next_sweep_at:
            self._names = await self._bucket.names(FOLDER)
            self._next_sweep_at = self._clock.boottime() + SWEEP_SECONDS

    async def _is_left(self, name: str) -> bool:
        found = _NAME.fullmatch(name)
        if found is None or self._clock.now() - _made_at(found["made_ms"]) <= UPLOADED:
            return False
        stored = await self._store.record(Blob, found["sha256"])
        return stored is None or stored.value.object_name != name


def _made_at(milliseconds: str | None) -> datetime:
    """Names of older engines say no time. No upload outlives its engine, so theirs are old enough."""
    return datetime.fromtimestamp(int(milliseconds or 0) / 1000, UTC)
