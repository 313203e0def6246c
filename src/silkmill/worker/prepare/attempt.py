"""Makes what a runner needs to start an attempt: its directory with its files, and its spec."""

from __future__ import annotations

import hashlib
import itertools
import secrets
from pathlib import Path

from silkmill.ports.link import WorkOrder
from silkmill.protocol.attemptdir import WORK_DIRECTORY, write_spec
from silkmill.worker.copies import Copies
from silkmill.worker.prepare.environment import environment_of, link_modules
from silkmill.worker.prepare.files import copy_files
from silkmill.worker.prepare.spec import Given, spec_of
from silkmill.worker.workplace import Workplace

_secret = secrets.token_bytes(32)
_numbers = itertools.count()


def new_nonce() -> str:
    """128 bits that nobody can foresee, drawn from one secret: the kernel is asked once, not per task."""
    return hashlib.blake2b(next(_numbers).to_bytes(8, "big"), key=_secret, digest_size=16).hexdigest()


async def bring_files(order: WorkOrder, place: Workplace, directory: Path) -> Copies:
    """The directory, and in it `work/` with the version's files. Raises PreparationFailed, OSError."""
    copies = place.directories.make(directory, order.files)
    await copy_files(order.files, place.blobs, directory / WORK_DIRECTORY, copies)
    return copies


def write_spec_of(order: WorkOrder, place: Workplace, directory: Path, given: Given) -> None:
    """spec.json is written last: it says that the rest is complete. Raises OSError."""
    link_modules(given.environments, directory)
    nonce = new_nonce()
    env = environment_of(
        order,
        node=place.settings.name,
        nonce=nonce,
        runner_pid=given.runner_pid,
        sdk=place.sdk,
        directory=directory,
        environments=given.environments,
    )
    spec = spec_of(
        order, place.settings, given, env=env, nonce=nonce, boot_id=place.boot_id, directory=directory
    )
    write_spec(str(directory), spec)
