"""P1: a spider that takes SIGTERM with a handler that loops, and a daemon of it, are cancelled."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.engine.server import Server, wait_for
from tests.faults.board import Profile, Result, Row
from tests.faults.checker import Evidence
from tests.faults.staging import WALK, deploy, growing
from tests.support.marked import marked

GRACE = 1.0
ASK = 5.0
LIMITS = '[limits]\ngrace = "1s"\n'
SLACK = 1.0
SEEN_EVERY = 0.02


def stubborn(env: dict[str, str], folder: Path, profile: Profile, result: Result) -> None:
    """Per round one spider that is told, one that is asked first, one that is forced: each has its graces."""
    data, walk = folder / "data", bool(env)
    with Server(data, max_runners=4, env=env) as server:
        deploy(server, folder, "stubborn", LIMITS)
        for number in range(profile.pick(short=1, full=60)):
            victims = [  # in the order of their deaths
                _Victim(server, folder / f"{number}-forced", 0.0, force=True),
                _Victim(server, folder / f"{number}-told", GRACE),
                _Victim(server, folder / f"{number}-asked", ASK + GRACE, hello=True),
            ]
            for victim in victims:
                victim.wait_ready(server, walk)
            for victim in victims:
                victim.cancel(server)
            for victim in victims:
                result.passed(victim.wait_dead())
                assert server.wait(victim.task_id)["state"] == "cancelled"
            assert not growing([victim.grows for victim in victims]), "something of the tree still writes"
            _check_stored(data, victims)
    result.figures = {"survivors": 0, "graces s": f"0, {GRACE:g}, {ASK + GRACE:g}"}


class _Victim:
    """A task that will not end by itself. `graces`: the seconds it may take in all."""

    def __init__(
        self, server: Server, mark: Path, graces: float, *, hello: bool = False, force: bool = False
    ) -> None:
        self.mark, self.graces, self.force = mark, graces, force
        self.grows = Path(f"{mark}.grows")
        env = {"MARK": str(mark)} | ({"HELLO": "1"} if hello else {})
        self.task_id = server.submit("stubborn", env=env)
        self.cancelled_at = 0.0

    def processes(self) -> list[int]:
        return marked(f"MARK={self.mark}\0")

    def wait_ready(self, server: Server, walk: bool) -> None:
        wait_for(Path(f"{self.mark}.ready").exists, f"{self.mark} to begin")
        server.wait(self.task_id, "running")
        assert len(self.processes()) >= 2, "the spider and its daemon live"
        in_group = any(pid in _in_groups(server) for pid in self.processes())
        assert in_group != walk, "the containment that this row is about is not in use"

    def cancel(self, server: Server) -> None:
        self.cancelled_at = time.monotonic()
        server.call("POST", f"/tasks/{self.task_id}/cancel", {"force": self.force})

    def wait_dead(self) -> float:
        wait_for(lambda: not self.processes(), f"{self.mark} to be dead", seconds=self.graces + 20)
        took = time.monotonic() - self.cancelled_at
        assert took >= self.graces - SEEN_EVERY, f"{self.mark} got {took:.2f} s of its {self.graces:g} s"
        assert took <= self.graces + SLACK, f"{self.mark} lived {took:.2f} s, its graces are {self.graces:g}"
        return took - self.graces


def _in_groups(server: Server) -> set[int]:
    """Processes in the cgroups of the runners; a runner itself is in its group too."""
    found: set[int] = set()
    for runner in server.runners().values():
        if runner["cgroup"]:
            found.update(map(int, (Path(runner["cgroup"]) / "cgroup.procs").read_text().split()))
    return found


def _check_stored(data: Path, victims: list[_Victim]) -> None:
    tasks = Evidence(data).tasks()
    for victim in victims:
        closed = tasks[victim.task_id].history
        assert [past["error_class"] for past in closed] == ["cancelled"], closed
        assert closed[0]["signal"] == 9, closed


def _row(id: str, where: str, env: dict[str, str], needs: tuple[str, ...] = ()) -> Row:
    run: Callable[[Path, Profile, Result], None] = partial(stubborn, env)
    fault = f"cancel of a spider that ignores SIGTERM, with a daemon, {where}"
    return Row(id, fault, "dead within its graces + 1 s (recovery: beyond the graces)", run, needs)


ROWS = [_row("P1", "in a cgroup", {}, ("cgroup",)), _row("P1-walk", "without cgroups", WALK)]
