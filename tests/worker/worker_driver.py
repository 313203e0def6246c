"""Runs an agent inside a test, and looks at the machine from outside of it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Self

from tests.support.marked import marked
from worker_master import FakeMaster, Stored

from silkmill.adapters.clock import SystemClock
from silkmill.protocol.logframe import STDOUT, parse_frames, stream_bytes
from silkmill.worker.agent import Agent
from silkmill.worker.settings import AgentSettings

WAIT_SECONDS = 20.0
# A spider whose daemon has no parent in the tree and nothing in its environment that names the attempt.
CLEAN_DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execve("/bin/sleep", ["sleep", "600"], {"MARKER": os.environ["MARKER"]})
    os._exit(0)
os.wait()
print("ready", flush=True)
time.sleep(600)
"""


class WorkerDriver:
    """An agent as `up` runs it. Leaving the context cuts it, if a test has not ended it before."""

    def __init__(
        self,
        master: FakeMaster,
        data: Path,
        *,
        containment: Literal["auto", "walk"] = "auto",
        max_runners: int = 4,
        **settings: Any,
    ) -> None:
        self.master = master
        self.data = data
        self.settings = AgentSettings(
            name="node-a", max_runners=max_runners, containment=containment, **settings
        )

    async def __aenter__(self) -> Self:
        self.master.registered.clear()
        self.agent = Agent(self.master, self.data, self.settings, SystemClock())
        self.task = asyncio.create_task(self.agent.run())
        registered = asyncio.create_task(self.master.registered.wait())
        await asyncio.wait({registered, self.task}, timeout=WAIT_SECONDS, return_when="FIRST_COMPLETED")
        assert registered.done(), self.task
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut()

    async def cut(self) -> None:
        if not self.task.done():
            self.agent.cut()
        await asyncio.wait_for(self.task, WAIT_SECONDS)

    async def drain(self) -> None:
        self.agent.drain()
        await asyncio.wait_for(self.task, WAIT_SECONDS)

    def attempts(self) -> list[Path]:
        return sorted((self.data / "attempts").iterdir())


async def ended(stored: Stored, seconds: float = WAIT_SECONDS) -> Stored:
    """Wait for the attempt's Finish (or that it is given back)."""
    try:
        await asyncio.wait_for(stored.ended.wait(), seconds)
    except TimeoutError:
        raise AssertionError(f"not ended: {stored.phase}, log {bytes(stored.log)[-2000:]!r}") from None
    return stored


async def wait_until(condition: Callable[[], Any], what: str, seconds: float = WAIT_SECONDS) -> Any:
    """Poll until `condition` gives something true; on time-out show what it gave last."""
    deadline = time.monotonic() + seconds
    while True:
        state = condition()
        if state:
            return state
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}; last seen: {state!r}"
        await asyncio.sleep(0.01)


def stdout_of(stored: Stored) -> bytes:
    return stream_bytes(bytes(stored.log), STDOUT)


def system_lines(stored: Stored) -> list[str]:
    return [frame.text.decode() for frame in parse_frames(bytes(stored.log)) if frame.tag == b"system"]


def open_files() -> int:
    """How many descriptors this process holds, without those of the thread that empties directories."""
    links = map(_opened, Path("/proc/self/fd").iterdir())
    return sum(link is not None and "/cache/released" not in link for link in links)


def _opened(descriptor: Path) -> str | None:
    """None for one that was closed since it was listed, as the listing's own always is."""
    try:
        return str(descriptor.readlink())
    except FileNotFoundError:
        return None


def processes_of(marker: str) -> list[int]:
    """Every living process of what the marker was given to."""
    return marked(f"MARKER={marker}\0")


def start_time(pid: int) -> int:
    """Field 22 of /proc/<pid>/stat."""
    return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19])


async def start_in_killed_agent(
    data: Path, argv: list[str], env: dict[str, str], containment: str = "auto"
) -> tuple[str, int]:
    """An agent in a process of its own starts a spider, hears of it, and is killed; its master is lost with
    it, as in `up`. Returns the task and the pid of the spider."""
    script = f"""
import asyncio, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from worker_driver import WorkerDriver, wait_until
from worker_master import FakeMaster
async def main():
    master = FakeMaster()
    async with WorkerDriver(master, Path({str(data)!r}), containment={containment!r}):
        stored = master.offer({argv!r}, env={env!r})
        await wait_until(lambda: stored.log, "it to run")
        print(stored.order.ref.task_id, stored.pid, flush=True)
        await asyncio.sleep(600)
asyncio.run(main())
"""
    agent = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=subprocess.PIPE)
    assert agent.stdout is not None
    task_id, pid = (await agent.stdout.readline()).decode().split()
    agent.kill()
    await agent.wait()
    return task_id, int(pid)
