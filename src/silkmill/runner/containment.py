"""What holds a spider's process tree together so that all of it can be killed: a cgroup or the tree."""

from __future__ import annotations

import os
from contextlib import contextmanager

from silkmill.protocol import cgroup
from silkmill.runner.processes import descendants, kill_process
from silkmill.runner.reaper import childless

TYPE_CHECKING = False  # the typing module would cost every runner half a megabyte
if TYPE_CHECKING:
    from collections.abc import Iterator


class ProcessTree:
    """The descendants of the runner, found by walking /proc. Its subreaper role keeps daemons in the tree."""

    @contextmanager
    def joined(self) -> Iterator[None]:
        """While this lasts, a process that is started belongs to the containment."""
        yield

    def kill(self) -> set[int]:
        """SIGKILL what is there now, return those it hit. Repeat until `is_gone`: some may have forked."""
        return {pid for pid, since in descendants(os.getpid()).items() if kill_process(pid, since)}

    def pids(self) -> set[int]:
        return set(descendants(os.getpid()))

    def is_gone(self) -> bool:
        """True proves that no process of the spider is left."""
        return childless()


class CgroupTree(ProcessTree):
    """The same with a cgroup around it: it holds what escapes from the tree, and dies in one write."""

    def __init__(self, group: str, home: str) -> None:
        self._group = group
        self._home = home
        os.makedirs(group, exist_ok=True)

    @contextmanager
    def joined(self) -> Iterator[None]:
        # The runner itself goes in and comes back, so that the child is born inside: a child that is moved
        # after its start may have forked before.
        _enter(self._group)
        try:
            yield
        finally:
            _enter(self._home)

    def kill(self) -> set[int]:
        return cgroup.kill_group(self._group) | super().kill()

    def pids(self) -> set[int]:
        return cgroup.pids_in(self._group) | super().pids()

    def is_gone(self) -> bool:
        return childless() and cgroup.remove_group(self._group)


class Containment:
    """Chooses what a spider is held in: a cgroup below `base` where there is one, else its process tree."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._home = cgroup.home_of(base) if base else ""

    def tree_for(self, name: str, walk: bool) -> ProcessTree:
        if walk or not self._base:
            return ProcessTree()
        return CgroupTree(os.path.join(self._base, name), self._home)


def _enter(group: str) -> None:
    descriptor = os.open(f"{group}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, b"0")
    finally:
        os.close(descriptor)
