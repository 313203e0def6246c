"""What a spider's process tree uses: the living are looked at once a second, the dead told it when reaped."""

from __future__ import annotations

from time import thread_time

from silkmill.runner.clock import NEVER
from silkmill.runner.processes import usage_of

TYPE_CHECKING = False  # the typing module would cost every runner half a megabyte
if TYPE_CHECKING:
    from resource import struct_rusage

    from silkmill.protocol.attemptdir import Outcome, Usage
    from silkmill.runner.containment import ProcessTree
    from silkmill.runner.processes import ProcessUsage

_FIRST_SECONDS = 0.5  # a task that is over by then pays nothing
_PERIOD_SECONDS = 1.0
_SHARE = 50  # a look may take a fiftieth of a processor: where /proc is long, looks are rare
_LONGEST_PAUSE_SECONDS = 10.0  # as far apart as the points of a series
_BLOCK_BYTES = 512  # of getrusage(2)


class TreeUsage:
    """Told of each process that was reaped; `look_if_due` adds those that live.

    A cgroup only says who belongs to the tree: its own counters tell of the runner, of the tasks before this
    one and of the page cache too."""

    def __init__(self, tree: ProcessTree) -> None:
        self.due_at = NEVER
        self.latest: Usage | None = None
        self._tree = tree
        self._dead_cpu_seconds = 0.0
        self._dead_read_bytes = 0
        self._dead_written_bytes = 0
        self._cpu_seconds = 0.0  # the most that was known of all together, and so on
        self._read_bytes = 0
        self._written_bytes = 0
        self._max_rss_bytes = 0

    def begin(self, now: float) -> None:
        """The spider has started."""
        self.due_at = now + _FIRST_SECONDS

    def reaped(self, usage: struct_rusage) -> None:
        """A process of the tree is dead; `usage` counts the children it had waited for."""
        self._max_rss_bytes = max(self._max_rss_bytes, usage.ru_maxrss * 1024)
        self._dead_cpu_seconds += usage.ru_utime + usage.ru_stime
        self._dead_read_bytes += usage.ru_inblock * _BLOCK_BYTES
        self._dead_written_bytes += usage.ru_oublock * _BLOCK_BYTES

    def look_if_due(self, now: float) -> bool:
        """Whether `latest` is new."""
        if now < self.due_at:
            return False
        began = thread_time()  # of the processor: that we were put aside makes no look dear
        self.latest = self._look()
        dear = _SHARE * (thread_time() - began)
        self.due_at = now + min(max(_PERIOD_SECONDS, dear), _LONGEST_PAUSE_SECONDS)
        return True

    def describe(self, outcome: Outcome) -> None:
        """Write what is known into the outcome. A tree that lived long enough was looked at as a whole."""
        latest = self.latest
        outcome["max_rss_bytes"] = max(self._max_rss_bytes, latest["max_rss_bytes"] if latest else 0)
        outcome["max_processes"] = latest["max_processes"] if latest else None
        cpu, read, written = self._sums([])
        outcome["cpu_seconds"], outcome["read_bytes"], outcome["written_bytes"] = cpu, read, written

    def _look(self) -> Usage:
        # Parents first, as a rule: a child that is waited for between two of these reads counts at most once.
        living = [used for pid in sorted(self._tree.members()) if (used := usage_of(pid))]
        rss = sum(used.rss_bytes for used in living)
        processes = sum(used.lives for used in living)
        cpu, read, written = self._sums(living)
        return {
            "rss_bytes": rss,
            "processes": processes,
            "cpu_seconds": cpu,
            "read_bytes": read,
            "written_bytes": written,
            "max_rss_bytes": max(rss, self.latest["max_rss_bytes"] if self.latest else 0),
            "max_processes": max(processes, self.latest["max_processes"] if self.latest else 0),
        }

    def _sums(self, living: list[ProcessUsage]) -> tuple[float, int | None, int | None]:
        """The living and the dead together. Never less than before: between death and reaping a process is
        neither, and one whose parent does not wait for it is never reaped."""
        cpu = self._dead_cpu_seconds + sum(used.cpu_seconds for used in living)
        self._cpu_seconds = max(self._cpu_seconds, round(cpu, 6))
        disk = [used.disk_bytes for used in living if used.disk_bytes is not None]
        if len(disk) < len(living):
            return self._cpu_seconds, None, None
        read = self._dead_read_bytes + sum(read for read, _ in disk)
        written = self._dead_written_bytes + sum(written for _, written in disk)
        self._read_bytes, self._written_bytes = max(self._read_bytes, read), max(self._written_bytes, written)
        return self._cpu_seconds, self._read_bytes, self._written_bytes
