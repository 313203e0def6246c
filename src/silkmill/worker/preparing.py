"""The step before the start: files and spec, undone at once when the attempt is cancelled."""

from __future__ import annotations

import asyncio

from silkmill.ports.link import WorkOrder
from silkmill.worker.directories import remove
from silkmill.worker.disk import is_full, wait_for_room
from silkmill.worker.held import HeldAttempt, Stopped
from silkmill.worker.prepare.attempt import prepare
from silkmill.worker.prepare.errors import PreparationFailed
from silkmill.worker.runners import RunnerFailed


async def prepare_held(held: HeldAttempt, order: WorkOrder) -> None:
    """Raises Stopped, PreparationFailed. A full disk is waited out."""
    held.check_stop()
    try:
        async with asyncio.timeout(None) as held.undoing:
            while not await _try_to_prepare(held, order):
                pass
    except TimeoutError:
        raise Stopped from None
    except (RunnerFailed, OSError) as failure:
        raise PreparationFailed(str(failure)) from failure
    finally:
        held.undoing = None


async def _try_to_prepare(held: HeldAttempt, order: WorkOrder) -> bool:
    runner = await held.slot.runner()
    try:
        held.copies = await prepare(order, held.place, held.directory, runner.process.pid)
    except OSError as error:
        if not is_full(error):
            raise
        await remove(held.directory)
        await wait_for_room(error)
        return False
    return True
