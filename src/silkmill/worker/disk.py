"""A full disk is waited out: somebody will make room, and what we hold must not be lost meanwhile."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable

import structlog

_log = structlog.get_logger(__name__)
RETRY_SECONDS = 1.0
_FULL = {errno.ENOSPC, errno.EDQUOT}


def is_full(error: OSError) -> bool:
    return error.errno in _FULL


async def wait_for_room(error: OSError) -> None:
    _log.warning("the disk is full, waiting", cause=str(error))
    await asyncio.sleep(RETRY_SECONDS)


async def when_there_is_room(write: Callable[[], None]) -> None:
    """Call `write` until the disk takes it. Raises every other OSError."""
    while True:
        try:
            write()
        except OSError as error:
            if not is_full(error):
                raise
            await wait_for_room(error)
        else:
            return
