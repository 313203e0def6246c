"""Loading the engine into a command."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Around imports of the engine: what they make lives until the end, so nobody looks for garbage in it,
    neither now (a tenth of the time it takes) nor later."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
