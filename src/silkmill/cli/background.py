"""An async context manager held open in a thread, for commands that are not async themselves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

Held = TypeVar("Held")


@contextmanager
def in_background(make: Callable[[], AbstractAsyncContextManager[Held]]) -> Iterator[Held]:
    """Enter it in a loop of its own; leaving this leaves it and waits for its end.

    Its errors are raised here. When this is left by an error, it is left by a cancellation."""
    entered: Future[Held] = Future()
    leave = Future[None]()
    ended: Future[None] = Future()

    async def hold() -> None:
        async with make() as held:
            entered.set_result(held)
            await asyncio.wrap_future(leave)

    def run() -> None:
        import uvloop  # slow to load, and no client needs it

        try:
            uvloop.run(hold())
        except BaseException as error:
            (ended if entered.done() else entered).set_exception(error)
        else:
            ended.set_result(None)

    thread = threading.Thread(target=run, name="silkmill-engine")
    thread.start()
    try:
        yield entered.result()
        leave.set_result(None)
    finally:
        leave.cancel()
        thread.join()
    ended.result()
