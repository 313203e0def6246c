"""What all attempts of a worker share."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from silkmill.domain.attempt import AttemptRef
from silkmill.ports.clock import Clock
from silkmill.ports.link import MasterLink
from silkmill.worker.directories import AttemptDirectories
from silkmill.worker.environments.environments import Environments
from silkmill.worker.prepare.blobs import BlobCache
from silkmill.worker.runners import RunnerPool
from silkmill.worker.session import Session
from silkmill.worker.settings import AgentSettings


@dataclass(frozen=True, slots=True)
class Workplace:
    """`cgroup_base` is empty where attempts get no cgroup."""

    link: MasterLink
    session: Session
    settings: AgentSettings
    clock: Clock
    pool: RunnerPool
    blobs: BlobCache
    directories: AttemptDirectories
    environments: Environments
    sockets: Path
    sdk: Path
    boot_id: str
    cgroup_base: str

    def directory_of(self, ref: AttemptRef) -> Path:
        return self.directories.path(ref)

    async def leave_nothing(self) -> None:
        """Remove what was made for runners and attempts outside of them, when none is left."""
        await self.directories.close()
        for folder in (str(self.sockets), self.cgroup_base):
            with contextlib.suppress(OSError):  # something is still in it: the next agent's business
                os.rmdir(folder)  # noqa: PTH106
