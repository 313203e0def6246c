"""The agent's session with its master: begun once, renewed when refused; its calls are repeated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import structlog

from silkmill.domain.errors import StaleSession, Unavailable
from silkmill.ports.link import MasterLink, Registered, Registration
from silkmill.runtime.loop import Backoff

_log = structlog.get_logger(__name__)
Answer = TypeVar("Answer")


class Session:
    """`introduce` says what the agent holds now; `welcomed` hears the answer before any call is repeated."""

    def __init__(
        self,
        link: MasterLink,
        introduce: Callable[[], Registration],
        welcomed: Callable[[Registered], None],
    ) -> None:
        self.id = ""
        self._link = link
        self._introduce = introduce
        self._welcomed = welcomed
        self._renewing = asyncio.Lock()
        self._refused: set[object] = set()

    async def begin(self) -> Registered:
        """Introduce a starting agent; returns when a master has answered."""
        backoff = Backoff()
        while True:
            try:
                registered = await self._link.register(self._introduce())
            except Unavailable as away:
                _log.warning("no master answers, trying again", cause=str(away))
                await backoff.wait()
            else:
                self.id = registered.session
                return registered

    async def renew(self, refused: str) -> None:
        """Register again, once for all who were refused under the same session."""
        async with self._renewing:
            if self.id == refused:
                _log.warning("the session was refused, registering again", session=refused)
                self._welcomed(await self.begin())

    def is_fetch_refused(self) -> bool:
        """A blob is waited for that the master cannot give now."""
        return bool(self._refused)

    async def blob(self, sha256: str) -> AsyncIterator[bytes]:
        """The content of a blob, asked for again from there until all has come. Raises NotFound."""
        backoff, position, fetch = Backoff(), 0, object()
        try:
            while True:
                try:
                    async for piece in self._link.blob(sha256, position):
                        self._refused.discard(fetch)
                        position += len(piece)
                        backoff.reset()
                        yield piece
                except Unavailable as away:
                    self._refused.add(fetch)
                    _log.debug("a blob is asked for again", position=position, cause=str(away))
                    await backoff.wait()
                else:
                    return
        finally:
            self._refused.discard(fetch)

    async def answered(self, call: Callable[[str], Awaitable[Answer]]) -> Answer:
        """Make a call with the present session, again and again until a master answers it.

        Whatever else the call raises is passed on: StaleAttempt, OffsetMismatch, Incomplete, NotFound."""
        backoff: Backoff | None = None
        while True:
            session = self.id
            try:
                return await call(session)
            except Unavailable as away:
                _log.debug("a call is repeated", cause=str(away))
            except StaleSession:
                await self.renew(session)
            backoff = backoff or Backoff()
            await backoff.wait()
