"""The slots of this node: one runner process each, started when it is first needed and then used again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import structlog

from silkmill.domain.errors import NoFreeSlot
from silkmill.protocol.cgroup import remove_group
from silkmill.runtime.loop import wait_set
from silkmill.worker.children import is_child, leave_orphans, orphans_come, take_orphans
from silkmill.worker.runner import Runner
from silkmill.worker.runner_link import Hello, RunnerUnreachable
from silkmill.worker.runner_process import (
    RunnerProcess,
    find_runner,
    forget_runner,
    read_runner_file,
    start_runner,
)
from silkmill.worker.trees import Remains, end_group, groups_below

_log = structlog.get_logger(__name__)
_LOG_TAIL_BYTES = 2000
_RETIRING_SECONDS = 5.0


class RunnerFailed(Exception):
    """A runner process does not come up; the message carries the end of its own log."""

    def __init__(self, slot_directory: Path, cause: Exception) -> None:
        super().__init__(f"the runner of {slot_directory} does not work: {cause}{_log_tail(slot_directory)}")


class Slot:
    """Room for one attempt. `runner()` gives a runner that listens."""

    def __init__(self, number: int, directory: Path, socket: Path, cgroup_base: str) -> None:
        self.number = number
        self.directory = directory
        self._socket = socket
        self._cgroup_base = cgroup_base
        self._runner: Runner | None = None
        self._runner_is_child = False

    @property
    def current(self) -> Runner | None:
        """The living runner, if there is one."""
        return self._runner

    async def runner(self) -> Runner:
        """Raises RunnerFailed."""
        if self._runner is not None and await _reaches(self._runner):
            return self._runner
        self._forget_dead_runner()
        try:
            runner = self._serve_by(start_runner(self.directory, self._socket, self._cgroup_base))
            await runner.connect()
        except OSError as error:
            if self._runner is not None:
                self._runner.process.kill()
            raise RunnerFailed(self.directory, error) from error
        return runner

    async def adopt(self, process: RunnerProcess) -> Hello | None:
        """Serve this slot by a runner that outlived its agent; None when it does not answer for now."""
        runner = self._serve_by(process)
        try:
            return await runner.connect()
        except RunnerUnreachable:
            return None

    def left_cleanly(self) -> bool:
        """Whether the last runner took its leave (it retires after many tasks) rather than died."""
        return read_runner_file(self.directory) is None

    def remains(self) -> Remains:
        """What the runner left that died in this slot and was not replaced yet.

        One that was adopted is no child of ours: without a cgroup its orphans go elsewhere. One that lives
        has let go of an attempt only when its tree was gone."""
        if self._runner is not None:
            return Remains(None, complete=True)
        dead = read_runner_file(self.directory)
        group = dead.cgroup if dead is not None else None
        return Remains(group, complete=group is not None or (self._runner_is_child and orphans_come()))

    def _forget_dead_runner(self) -> None:
        group = self.remains().group
        if group is not None:
            remove_group(group)
        forget_runner(self.directory)

    def _serve_by(self, process: RunnerProcess) -> Runner:
        self._runner = Runner(process, self._runner_is_gone)
        self._runner_is_child = is_child(process.pid)
        return self._runner

    def _runner_is_gone(self, runner: Runner) -> None:
        if self._runner is runner:
            self._runner = None


class RunnerPool:
    """Slots 0 to `max_runners` - 1, and those beyond in which an adopted runner still has work."""

    def __init__(self, folder: Path, sockets: Path, max_runners: int, cgroup_base: str) -> None:
        self._folder = folder
        self._sockets = sockets
        self._max_runners = max_runners
        self._cgroup_base = cgroup_base
        self._idle = [self._slot(number) for number in reversed(range(max_runners))]
        self._busy: set[Slot] = set()
        self._proven_dead: set[str] = set()
        self._takes_orphans = False

    @property
    def free(self) -> int:
        return max(0, min(len(self._idle), self._max_runners - len(self._busy)))

    def take(self) -> Slot:
        """Raises NoFreeSlot."""
        if not self.free:
            raise NoFreeSlot(f"all {self._max_runners} runners are busy")
        slot = self._idle.pop()
        self._busy.add(slot)
        return slot

    def give(self, slot: Slot) -> None:
        """The slot is clean again. The one used last is used next: fewer runners are started."""
        if slot in self._busy:
            self._busy.remove(slot)
            if slot.number < self._max_runners:
                self._idle.append(slot)
            elif slot.current is not None:
                slot.current.retire()

    async def adopt(self, boot_id: str) -> dict[str, tuple[Slot, str]]:
        """Find the runners that outlived an agent. Returns slot and phase by attempt directory.

        What is left in the cgroups of dead runners is killed. Without cgroups, the orphans of those that die
        from now on come to us."""
        if not self._cgroup_base:
            take_orphans()
            self._takes_orphans = True
        working: dict[str, tuple[Slot, str]] = {}
        orphaned = set(groups_below(self._cgroup_base))
        attempts: dict[str, str | None] = {}
        for directory in sorted(self._folder.glob("[0-9]*")):
            found = read_runner_file(directory)
            if found is None:
                continue
            process = find_runner(found, boot_id)
            if process is None:
                if found.cgroup:
                    orphaned.add(found.cgroup)
                    attempts[found.cgroup] = found.attempt
                forget_runner(directory)
                continue
            orphaned.discard(found.cgroup or "")
            slot = self._slot_numbered(int(directory.name))
            hello = await slot.adopt(process) or Hello(found.attempt, "executing")
            if hello.attempt is not None:
                working[hello.attempt] = (slot, hello.phase)
                self._occupy(slot)
            elif slot.number >= self._max_runners and slot.current is not None:
                slot.current.retire()
        for group in orphaned:
            if await asyncio.to_thread(end_group, group):
                self._proven_dead.add(attempts.get(group) or "")
        return working

    def remains_of(self, attempt_directory: str) -> Remains:
        """What an attempt left whose runner was dead when we started."""
        return Remains(None, complete=attempt_directory in self._proven_dead)

    async def reconnect(self) -> None:
        """One pass: open again the sockets that were lost while their runners live."""
        for slot in [*self._busy, *self._idle]:
            if slot.current is not None and not slot.current.connected:
                try:
                    await slot.current.connect()
                except RunnerUnreachable as error:
                    _log.warning("runner does not answer", slot=slot.number, cause=str(error))

    def leave(self) -> None:
        """Let go of all runners; they live on, and the next agent finds them."""
        if self._takes_orphans:
            leave_orphans()
            self._takes_orphans = False
        for runner in self._runners():
            runner.leave()

    async def retire(self) -> None:
        """Tell the idle runners to exit, and see them gone."""
        for runner in list(self._runners()):
            runner.retire()
            await wait_set(runner.gone, _RETIRING_SECONDS)

    def pids(self) -> list[int]:
        return [runner.process.pid for runner in self._runners()]

    def _runners(self) -> Iterator[Runner]:
        return (slot.current for slot in [*self._busy, *self._idle] if slot.current is not None)

    def _slot(self, number: int) -> Slot:
        return Slot(number, self._folder / str(number), self._sockets / f"{number}.sock", self._cgroup_base)

    def _slot_numbered(self, number: int) -> Slot:
        known = next((slot for slot in self._idle if slot.number == number), None)
        return known or self._slot(number)

    def _occupy(self, slot: Slot) -> None:
        if slot in self._idle:
            self._idle.remove(slot)
        self._busy.add(slot)


async def _reaches(runner: Runner) -> bool:
    """Whether an idle runner listens; one that does not is of no use, and is gone afterwards."""
    if runner.connected:
        return True
    try:
        await runner.connect()
    except RunnerUnreachable:
        runner.process.kill()
        await wait_set(runner.gone, _RETIRING_SECONDS)
        return False
    return True


def _log_tail(slot_directory: Path) -> str:
    try:
        text = (slot_directory / "runner.log").read_bytes()[-_LOG_TAIL_BYTES:].decode("utf-8", "replace")
    except OSError:
        return ""
    return f"; its log ends: {text.strip()}" if text.strip() else ""
