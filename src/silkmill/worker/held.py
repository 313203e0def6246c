"""An attempt as its node holds it: how far it is, its slot, its streams, and who wants it stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from silkmill.domain.attempt import AttemptRef
from silkmill.domain.outcome import Facts, Rules
from silkmill.domain.states import Phase
from silkmill.ports.link import Held
from silkmill.protocol.attemptdir import read_outcome
from silkmill.worker.copies import Copies
from silkmill.worker.execution import Execution
from silkmill.worker.facts import facts_of
from silkmill.worker.log_head import LogHead
from silkmill.worker.runner import Runner
from silkmill.worker.runners import Slot
from silkmill.worker.streams import Streams
from silkmill.worker.told import told
from silkmill.worker.trees import Remains
from silkmill.worker.workplace import Workplace

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class GivenBack:
    """The attempt ends without an outcome: this node lets it go."""

    reason: str


Ending = Facts | GivenBack


class Stopped(Exception):
    """The attempt is to be undone before its spider was started."""


class HeldAttempt:
    """The state that the steps of an attempt's life share. `rules` are of its spider, once they are known.

    An offer whose acceptance has not been answered counts as preparing: it may have been committed."""

    def __init__(self, ref: AttemptRef, place: Workplace, slot: Slot | None, phase: Phase) -> None:
        self.ref = ref
        self.place = place
        self.phase = phase
        self.directory = place.directory_of(ref)
        self.streams = Streams(ref, self.directory, place.link, place.session)
        self.head = LogHead(self.directory, self.streams.grew)
        self.execution = Execution(str(self.directory), self.streams.grew)
        self.rules = Rules()
        self.copies = Copies()
        self.undoing: asyncio.Timeout | None = None
        self.giving_back: str | None = None
        self._environments: list[str] = []
        self._cancel_force: bool | None = None
        self._slot = slot
        self._remains: Remains | None = None

    @property
    def report(self) -> Held:
        """What the agent says of it when it registers."""
        return Held(self.ref, self.phase, self.execution.pid, self.execution.started_at)

    @property
    def slot(self) -> Slot:
        assert self._slot is not None, f"{self.ref} has left its slot"
        return self._slot

    def remains(self) -> Remains:
        """What its runner left, which is dead. Asked first while the slot is still ours."""
        if self._remains is None:
            pool, directory = self.place.pool, str(self.directory)
            self._remains = self._slot.remains() if self._slot is not None else pool.remains_of(directory)
        return self._remains

    @property
    def out_of_sight(self) -> bool:
        """Its runner died, and nothing that we can look at holds all of its tree."""
        return self._remains is not None and not self._remains.complete

    def leave_slot(self) -> None:
        """The slot can take another attempt; a repeat changes nothing."""
        slot, self._slot = self._slot, None
        if slot is not None:
            self.place.pool.give(slot)

    def hold_environment(self, key: str) -> None:
        """It stays while the attempt is here; a repeat changes nothing."""
        if key not in self._environments:
            self._environments.append(key)
            self.place.environments.hold(key)

    def leave_environments(self) -> None:
        for key in self._environments:
            self.place.environments.let_go(key)
        self._environments.clear()

    @property
    def environments(self) -> Sequence[str]:
        """The keys of those that it uses."""
        return self._environments

    def cancel(self, *, force: bool) -> None:
        """A repeat is harmless; `force` may come later."""
        if self._cancel_force is None or (force and not self._cancel_force):
            self._cancel_force = force
            self._stop()

    def give_back(self, reason: str) -> None:
        if self.giving_back is None:
            self.giving_back = reason
            self._stop()

    def check_stop(self) -> None:
        """Raises Stopped. Call it before anything that leads to the start of the spider."""
        if self._cancel_force is not None or self.giving_back is not None:
            raise Stopped

    def pass_on_stop(self, runner: Runner) -> None:
        """Tell a runner what was ordered while it did not have the attempt."""
        if self._cancel_force is not None or self.giving_back is not None:
            runner.cancel(force=bool(self._cancel_force))

    def kill(self) -> None:
        """Stop the spider without grace, if a runner still has it."""
        if self._slot is not None and self._slot.current is not None:
            self._slot.current.cancel(force=True)

    def outcome(self) -> Facts | None:
        """What the runner recorded, if it came to that."""
        outcome = read_outcome(str(self.directory))
        return None if outcome is None else facts_of(outcome, told(str(self.directory)).status)

    async def answered(self, call: Callable[[str], Awaitable[Answer]]) -> Answer:
        """A call to the master, repeated until answered."""
        return await self.place.session.answered(call)

    def _stop(self) -> None:
        if self.undoing is not None:
            if not self.undoing.expired():  # else it is stopped already, by an order before this
                self.undoing.reschedule(asyncio.get_running_loop().time())
        elif self._slot is not None and self._slot.current is not None:
            self.pass_on_stop(self._slot.current)
