"""I1: a line of 100 MB without a newline goes through at little memory, and comes back byte for byte."""

from __future__ import annotations

import time
from pathlib import Path

from tests.engine.server import Server, wait_for
from tests.faults.board import Profile, Result, Row
from tests.faults.checker import Evidence
from tests.faults.staging import deploy, high_water_mark, wait_merged

MB, MIB = 1_000_000, 1 << 20
SIZE = 100 * MB
WARM_UP = 2 * MIB
HELD_BACK = 64 * 1024
GROWTH = 32 * MIB
FRAME_LIKE = '{"type":"INSERT_DATA","payload":{"page":"'


def long_lines(folder: Path, profile: Profile, result: Result) -> None:
    """Runner and `up` may grow by 32 MiB over what a 2 MiB line took, and `up`, which is master and agent, by
    twice as much since it was idle."""
    openings, speeds = profile.pick(short=[""], full=["", FRAME_LIKE]), []
    for number, opening in enumerate(openings):
        with Server(folder / f"data-{number}", max_runners=1) as server:
            deploy(server, folder, "long_line")
            idle = high_water_mark(server.pid)
            _Line(server, folder / f"warm-up-{number}", WARM_UP).pass_through()
            before = _Memory(server)
            line = _Line(server, folder / f"line-{number}", SIZE, opening)
            speeds.append(line.pass_through())
            grown = before.growth_of(server) | {"up grew since idle": high_water_mark(server.pid) - idle}
            assert grown["up grew since idle"] < 2 * GROWTH, grown
            line.check_after_restart()
            result.passed()
    figures = {name: f"{size / MIB:.1f} MiB" for name, size in grown.items()}
    result.figures = figures | {"MB/s": round(min(speeds))}


class _Memory:
    """The high-water marks of `up` and of its only runner."""

    def __init__(self, server: Server) -> None:
        self.pids = {"up": server.pid, "runner": server.runners()[0]["pid"]}
        self.marks = {name: high_water_mark(pid) for name, pid in self.pids.items()}

    def growth_of(self, server: Server) -> dict[str, int]:
        assert server.runners()[0]["pid"] == self.pids["runner"], "the runner was replaced meanwhile"
        grown = {f"{name} grew": high_water_mark(pid) - self.marks[name] for name, pid in self.pids.items()}
        for name, size in grown.items():
            assert size < GROWTH, f"{name} by {size / MIB:.1f} MiB"
        return grown


class _Line:
    def __init__(self, server: Server, record: Path, size: int, opening: str = "") -> None:
        self.server, self.record, self.size = server, record, size
        env = {"RECORD": str(record), "SIZE": str(size), "OPENING": opening}
        self.began = time.monotonic()
        self.task_id = server.submit("long_line", env=env)

    def pass_through(self) -> float:
        """Compared live, at the end and after the merge. The answer: MB/s from submit to stored."""
        wait_for(Path(f"{self.record}.written").exists, "the line to be written", seconds=120)
        wait_for(self._is_stored, "the line to be stored", seconds=120)
        speed = self.size / MB / (time.monotonic() - self.began)
        assert self.server.task(self.task_id)["state"] == "running"
        self._compare(self.server.log(self.task_id), held_back=HELD_BACK)
        Path(f"{self.record}.stop").touch()
        self.server.wait(self.task_id, "finished")
        self._compare(self.server.log(self.task_id))
        wait_merged(self.server, self.task_id)
        self._compare(self.server.log(self.task_id))
        return speed

    def check_after_restart(self) -> None:
        self.server.kill()
        evidence = Evidence(self.server.data)
        self._compare(evidence.stream(evidence.task(self.task_id), "stdout"))
        self.server.start()
        self._compare(self.server.log(self.task_id))

    def _is_stored(self) -> bool:
        return int(self.server.task(self.task_id)["log_bytes"]) >= self.size - HELD_BACK

    def _compare(self, stored: bytes, held_back: int = 0) -> None:
        """While the line goes on, up to 64 KiB of it may be held back: they have no frame yet."""
        printed = self.record.read_bytes()
        assert len(printed) >= self.size
        assert len(printed) - len(stored) <= held_back, f"{len(stored)} of {len(printed)} bytes are stored"
        assert printed.startswith(stored), f"differs at byte {_first_difference(stored, printed)}"


def _first_difference(one: bytes, other: bytes) -> int:
    return next(at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)


ROW = Row(
    "I1",
    "a line of 100 MB without a newline",
    "runner and `up` grow by less than 32 MiB, every byte comes back: live, merged, after a restart",
    long_lines,
)
