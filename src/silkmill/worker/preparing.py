"""The step before the start: files, environments and spec, undone at once when the attempt is cancelled."""

from __future__ import annotations

import asyncio

from silkmill.ports.link import WorkOrder
from silkmill.worker.allowance import Allowance
from silkmill.worker.directories import remove
from silkmill.worker.disk import is_full, wait_for_room
from silkmill.worker.equipping import equip, tell_preparing
from silkmill.worker.held import HeldAttempt, Stopped
from silkmill.worker.prepare.attempt import bring_files, write_spec_of
from silkmill.worker.prepare.errors import PreparationFailed
from silkmill.worker.prepare.spec import Given
from silkmill.worker.runners import RunnerFailed


async def prepare_held(held: HeldAttempt, order: WorkOrder) -> None:
    """Raises Stopped, PreparationFailed. A full disk is waited out."""
    held.check_stop()
    allowance = Allowance(order.config.limits.prepare_seconds, held.place.session.is_fetch_refused)
    try:
        async with asyncio.timeout(None) as held.undoing, allowance:
            while not await _try_to_prepare(held, order, allowance):
                pass
    except TimeoutError:
        raise Stopped from None
    except (RunnerFailed, OSError) as failure:
        raise PreparationFailed(str(failure)) from failure
    finally:
        held.undoing = None


async def _try_to_prepare(held: HeldAttempt, order: WorkOrder, allowance: Allowance) -> bool:
    try:
        held.copies = await bring_files(order, held.place, held.directory)
        held.head.write()
        environments = await equip(held, order, allowance)
        runner = await held.slot.runner()
        write_spec_of(order, held.place, held.directory, Given(runner.process.pid, environments, held.head))
    except OSError as error:
        if not is_full(error):
            raise
        await remove(held.directory)
        await _wait_for_room(held, error, allowance)
        return False
    return True


async def _wait_for_room(held: HeldAttempt, error: OSError, allowance: Allowance) -> None:
    allowance.count(away=True)
    await tell_preparing(held, f"waits, the disk is full: {error}", away=True)
    await wait_for_room(error)
    allowance.count(away=False)
