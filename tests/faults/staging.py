"""Puts the test spiders of tests/faults/spiders on a server, and watches what they leave behind."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from tests.engine.server import Server, spider_folder, wait_for
from tests.faults.checker import Evidence, StoredTask

SPIDERS = Path(__file__).parent / "spiders"
WALK = {"SILKMILL_CONTAINMENT": "walk"}


def script_of(name: str) -> str:
    return (SPIDERS / f"{name}.py").read_text()


def deploy(server: Server, folder: Path, name: str, toml: str = "", script: str | None = None) -> None:
    """The spider `name` runs spiders/<script>.py, by default the one of its own name."""
    server.deploy(spider_folder(folder / "spiders", name, script_of(script or name), toml))


def wait_merged(server: Server, task_id: str) -> None:
    """Until the log of a task that has ended is one object, which only a log of some size becomes."""

    def is_merged() -> bool:
        return bool(Evidence(server.data).task(task_id).history[0]["log_object"])

    wait_for(is_merged, f"the log of {task_id} to be merged", seconds=60)


def unshipped(data: Path, task: StoredTask, stream: str) -> int:
    """Bytes of a stream, `log` or `items`, in the attempt's directory that the store has not acknowledged."""
    ends = [0]
    for path in (data / "attempts" / f"{task.id}.{task.attempt}").glob(f"{stream}.*"):
        ends.append(int(path.suffix[1:]) + path.stat().st_size)
    stored = task.log_offset if stream == "log" else task.items_offset
    return max(0, max(ends) - stored)


def growing(files: Iterable[Path], seconds: float = 0.3) -> list[Path]:
    """Those of the files that somebody still writes to: watched for so long."""
    before = {path: path.stat().st_size for path in files}
    time.sleep(seconds)  # the look itself: who writes every 20 ms would be seen many times
    return [path for path, size in before.items() if path.stat().st_size > size]


def high_water_mark(pid: int) -> int:
    """VmHWM in bytes: the most memory this process ever had."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"process {pid} has no VmHWM")
