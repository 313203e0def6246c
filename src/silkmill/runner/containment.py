"""What holds a spider's process tree together so that all of it can be killed: a cgroup or the tree."""

from __future__ import annotations

import os

from silkmill.protocol import cgroup
from silkmill.runner.processes import descendants, kill_process
from silkmill.runner.reaper import childless


class ProcessTree:
    """The descendants of the runner, found by walking /proc. Its subreaper role keeps daemons in the tree."""

    def enter(self) -> None:
        """From now on a process that is started belongs to the containment."""

    def kill(self) -> set[int]:
        """SIGKILL what is there now, return those it hit. Repeat until `is_gone`: some may have forked."""
        return {pid for pid, since in descendants(os.getpid()).items() if kill_process(pid, since)}

    def pids(self) -> set[int]:
        return set(descendants(os.getpid()))

    def members(self) -> set[int]:
        """The processes of the spider as they can be found cheaply, for counting what they use."""
        return self.pids()

    def is_gone(self) -> bool:
        """True proves that no process of the spider is left."""
        return childless()


class CgroupTree(ProcessTree):
    """The same with a cgroup around it: it holds what escapes from the tree, and dies in one write.

    The runner lives inside, so that spiders are born there; it goes out only to kill. Moving in for every
    one would cost up to 10 ms on an idle machine (the kernel waits for a grace period), and moving a child
    after its start would miss what it has forked by then.
    """

    def __init__(self, group: str, home: str) -> None:
        self.group = group
        self._home = home
        self._inside = False
        self.enter()

    def enter(self) -> None:
        if not self._inside:
            os.makedirs(self.group, exist_ok=True)  # an empty one may have been cleaned away meanwhile
            cgroup.move_self(self.group)
            self._inside = True

    def kill(self) -> set[int]:
        self._leave()
        return cgroup.kill_group(self.group) | super().kill()

    def pids(self) -> set[int]:
        return (cgroup.pids_in(self.group) | super().pids()) - {os.getpid()}

    def members(self) -> set[int]:
        return cgroup.pids_in(self.group) - {os.getpid()}

    def is_gone(self) -> bool:
        return childless() and cgroup.pids_in(self.group) <= {os.getpid()}

    def remove(self) -> None:
        """At the runner's end; a group with survivors stays for the agent to see."""
        self._leave()
        cgroup.remove_group(self.group)

    def _leave(self) -> None:
        if self._inside:
            cgroup.move_self(self._home)
            self._inside = False


class Containment:
    """The runner's cgroup below `base` ("" for none), named after the slot and the runner."""

    def __init__(self, base: str, slot: str) -> None:
        self._walk = ProcessTree()
        self._cgroup: CgroupTree | None = None
        if base:
            self._cgroup = CgroupTree(f"{base}/{slot}.{os.getpid()}", cgroup.home_of(base))

    @property
    def group(self) -> str | None:
        return self._cgroup.group if self._cgroup else None

    def tree(self, walk: bool) -> ProcessTree:
        return self._walk if walk or self._cgroup is None else self._cgroup

    def remove(self) -> None:
        if self._cgroup:
            self._cgroup.remove()
