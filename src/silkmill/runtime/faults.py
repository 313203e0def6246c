"""Named fault points: places where a test makes the engine fail on purpose. Off by default.

`SILKMILL_FAULTS="store.after_commit=error@3*2,collector.after_store=kill"` arms them: an action, `@N` the hit
at which it begins (1), `*N` for how many hits (1). Actions: `kill` (SIGKILL to this process), `error`
(raises Unavailable), `pause:SECONDS`.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from dataclasses import dataclass

import structlog

from silkmill.domain.errors import Unavailable

_log = structlog.get_logger(__name__)

_SPEC = re.compile(r"([a-z_.]+)=(kill|error|pause:([0-9.]+))(?:@([0-9]+))?(?:\*([0-9]+))?")


@dataclass(slots=True)
class Fault:
    """What happens from the hit `first` on, `count` times. `pause_seconds` only for a pause."""

    action: str
    first: int = 1
    count: int = 1
    pause_seconds: float = 0.0
    hits: int = 0

    def due(self) -> bool:
        self.hits += 1
        return self.first <= self.hits < self.first + self.count


def parse(text: str) -> dict[str, Fault]:
    """Faults by point name. Raises ValueError for anything that is not a fault."""
    armed = {}
    for part in filter(None, text.split(",")):
        found = _SPEC.fullmatch(part.strip())
        if found is None:
            raise ValueError(f"not a fault: {part!r}; write name=kill|error|pause:SECONDS, then @N, then *N")
        name, action, pause, first, count = found.groups()
        armed[name] = Fault(action.partition(":")[0], int(first or 1), int(count or 1), float(pause or 0))
    return armed


_armed = parse(os.environ.get("SILKMILL_FAULTS", ""))


def arm(text: str) -> None:
    """Arm faults beside those that are armed already; a repeated name starts anew."""
    _armed.update(parse(text))


def disarm() -> None:
    _armed.clear()


def hits(name: str) -> int:
    """How often an armed point was passed."""
    return _armed[name].hits


def hit(name: str) -> None:
    """A fault point in synchronous code; a pause blocks its thread."""
    if _armed and (seconds := _strike(name)):
        time.sleep(seconds)


async def point(name: str) -> None:
    """A fault point in a coroutine; a pause blocks nothing else."""
    if _armed and (seconds := _strike(name)):
        await asyncio.sleep(seconds)


def _strike(name: str) -> float:
    """Act, and answer how long to pause. The error names the part before the dot, as a true one would."""
    fault = _armed.get(name)
    if fault is None or not fault.due():
        return 0.0
    _log.warning("fault injected", point=name, action=fault.action, hit=fault.hits)
    if fault.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault.action == "error":
        raise Unavailable(name.partition(".")[0], f"fault point {name}")
    return fault.pause_seconds
