"""Tasks of the chatter spider: submitted, watched, and compared with the records the spider kept itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.engine.server import Server, spider_folder, start_time, wait_for
from tests.faults.checker import Evidence
from tests.faults.staging import unshipped
from tests.support.marked import marked

SCRIPT = (Path(__file__).parent / "spiders" / "chatter.py").read_text()
RETRY = '[retry]\nmax_attempts = 3\nbackoff = "1s"\n'


@dataclass(slots=True)
class Chatter:
    """One task and where its spider keeps its record."""

    task_id: str
    record: Path
    seconds: float

    def attempt_record(self, attempt: int, suffix: str) -> Path:
        return self.record.with_name(f"{self.record.name}.{attempt}.{suffix}")

    def pids(self) -> dict[int, int]:
        """pid → start time of its living processes."""
        return {pid: start_time(pid) for pid in marked(f"RECORD={self.record}")}

    def stop(self) -> None:
        """Let it end by itself."""
        self.record.with_name(self.record.name + ".stop").touch()

    def wait_talking(self) -> None:
        wait_for(self.attempt_record(1, "items").exists, f"{self.record} to begin")


def deploy_chatter(server: Server, folder: Path) -> None:
    server.deploy(spider_folder(folder / "spiders", "chatter", SCRIPT, RETRY))


def start_chatters(
    server: Server, folder: Path, count: int, seconds: float, rate: int = 600
) -> list[Chatter]:
    started = []
    (folder / "records").mkdir(exist_ok=True)
    for number in range(count):
        record = folder / "records" / f"{len(list((folder / 'records').iterdir()))}-{number}"
        env = {"RECORD": str(record), "SECONDS_TO_RUN": str(seconds), "RATE": str(rate)}
        started.append(Chatter(server.submit("chatter", env=env), record, seconds))
    for chatter in started:
        chatter.wait_talking()
    return started


def check_complete(evidence: Evidence, chatter: Chatter, attempt: int = 1) -> dict[str, Any]:
    """Everything the spider printed is stored once: items by ordinal, both streams byte for byte."""
    task = evidence.task(chatter.task_id)
    assert task.state == "finished", f"{task.id} is {task.state}: {task.doc['reason']}"
    assert task.accepted["number"] == attempt, task.history
    printed = chatter.attempt_record(attempt, "items").read_bytes().splitlines()
    stored = evidence.items(task, attempt)
    assert stored == printed, (
        f"{len(stored)} items stored, {len(printed)} printed: {first_difference(stored, printed)}"
    )
    for stream in ("stdout", "stderr"):
        kept, said = (
            evidence.stream(task, stream, attempt),
            chatter.attempt_record(attempt, stream).read_bytes(),
        )
        assert kept == said, f"{stream} of {task.id}: {len(kept)} bytes stored, {len(said)} printed"
    return {"items": len(stored), "bytes": task.accepted["log_offset"]}


def first_difference(stored: list[bytes], printed: list[bytes]) -> str:
    for ordinal, (one, other) in enumerate(zip(stored, printed, strict=False)):
        if one != other:
            return f"at ordinal {ordinal}: {one[:80]!r} for {other[:80]!r}"
    return "one is the beginning of the other"


def unshipped_bytes(data: Path, evidence: Evidence, chatters: list[Chatter]) -> int:
    """Bytes in the attempt directories that the store has not acknowledged."""
    tasks = evidence.tasks()
    return sum(
        unshipped(data, tasks[chatter.task_id], stream) for chatter in chatters for stream in ("log", "items")
    )
