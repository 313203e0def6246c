"""Ships what running attempts tell of themselves: all that changed in one message, the latest only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

from silkmill.domain.attempt import AttemptRef
from silkmill.domain.errors import StaleSession, Unavailable
from silkmill.domain.states import Phase
from silkmill.ports.link import MasterLink, Report
from silkmill.protocol.attemptdir import STATUS_FILE
from silkmill.worker.held import HeldAttempt
from silkmill.worker.session import Session
from silkmill.worker.told import told

LOOK_SECONDS = 0.75
"""A runner looks at its spider once a second; with this, nothing that is shown is older than two."""


class _File(NamedTuple):
    """A status file, which is replaced whenever it changes."""

    directory: str
    inode: int
    written_ns: int


class Reporter:
    """A message without an answer is not repeated: the next look finds what is the latest then."""

    def __init__(self, link: MasterLink, session: Session, held: Callable[[], Iterable[HeldAttempt]]) -> None:
        self._link, self._session, self._held = link, session, held
        self._shipped: dict[AttemptRef, _File] = {}
        self._shipped_under = ""

    async def tick(self) -> None:
        """One look at the status files of what runs."""
        session = self._session.id
        if session != self._shipped_under:  # its master may know of nothing
            self._shipped, self._shipped_under = {}, session
        files = dict(self._files())
        changed = [ref for ref, file in files.items() if file != self._shipped.get(ref)]
        reports = [_report(ref, files[ref]) for ref in changed]
        self._shipped = files
        if reports:
            try:
                await self._link.statistics(session, reports)
            except (Unavailable, StaleSession):  # what refuses us is for the heartbeat to deal with
                self._shipped = {}

    def _files(self) -> Iterator[tuple[AttemptRef, _File]]:
        for held in self._held():
            if held.phase is Phase.EXECUTING:
                with suppress(OSError):  # nothing is told yet
                    status = (held.directory / STATUS_FILE).stat()
                    yield held.ref, _File(str(held.directory), status.st_ino, status.st_mtime_ns)


def _report(ref: AttemptRef, file: _File) -> Report:
    said = told(file.directory)
    return Report(ref, said.now, said.status)
