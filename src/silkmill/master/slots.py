"""Slots: how many more tasks each connected agent can run, counted in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from silkmill.domain.attempt import AttemptRef
from silkmill.domain.task import Task

REFUSED_SECONDS = 1.0
"""A refused slot is believed to be taken until the agent frees one, or for so long."""


@dataclass(slots=True)
class _Agent:
    capacity: int
    taken: set[AttemptRef] = field(default_factory=set)
    refused: dict[AttemptRef, float] = field(default_factory=dict)


class Slots:
    """A slot is taken when its task is offered, and free when the agent says so or the attempt is over."""

    def __init__(self) -> None:
        self._agents: dict[str, _Agent] = {}
        self._holders: dict[str, tuple[AttemptRef, str]] = {}
        self._claiming: set[AttemptRef] = set()
        self._watchers: list[Callable[[], None]] = []

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call `watcher` whenever a slot became free."""
        self._watchers.append(watcher)

    def open(self, session: str, capacity: int, taken: Iterable[AttemptRef]) -> None:
        """An agent with `capacity` slots, of which some run attempts that it brought along."""
        self._agents[session] = _Agent(capacity)
        for ref in taken:
            self.take(session, ref)
            self.claimed(ref)
        self._tell()

    def close(self, session: str) -> None:
        """The session is over; what it held is held no more."""
        agent = self._agents.pop(session, None)
        for ref in agent.taken if agent else ():
            self._holders.pop(ref.task_id, None)
            self._claiming.discard(ref)

    def free_by_session(self, boottime: float) -> dict[str, int]:
        """Free slots of every session that has any."""
        free = {session: self._free(agent, boottime) for session, agent in self._agents.items()}
        return {session: count for session, count in free.items() if count > 0}

    def take(self, session: str, ref: AttemptRef) -> None:
        """For an attempt whose claim is on its way. One before it of the same task has ended: its end was
        committed, though nobody may have heard."""
        if before := self._holders.get(ref.task_id):
            self._release(before[0])
        self._agents[session].taken.add(ref)
        self._holders[ref.task_id] = ref, session
        self._claiming.add(ref)

    def claimed(self, ref: AttemptRef) -> None:
        """The claim is committed: from now on the attempt is open until it is closed."""
        self._claiming.discard(ref)

    def is_claiming(self, ref: AttemptRef) -> bool:
        return ref in self._claiming

    def held(self) -> dict[AttemptRef, str]:
        """The sessions by the attempts that hold a slot and are known to have been claimed."""
        return {ref: session for ref, session in self._holders.values() if ref not in self._claiming}

    def free(self, ref: AttemptRef) -> None:
        """The attempt's slot, if it holds one. A freed slot ends the doubt about the refused ones."""
        if agent := self._release(ref):
            agent.refused.clear()
            self._tell()

    def refuse(self, ref: AttemptRef, boottime: float) -> None:
        """The agent has no slot for this attempt: so one is taken, whatever was counted here."""
        if agent := self._release(ref):
            agent.refused[ref] = boottime + REFUSED_SECONDS

    def notice(self, task: Task) -> None:
        """Free the slot of an attempt that, in this committed task, is not its session's any more."""
        ref, session = self._holders.get(task.id, (None, ""))
        if ref is None or task.last_number < ref.number:  # its claim is not committed yet
            return
        if task.ref != ref or task.attempt is None or task.attempt.session != session:
            self.free(ref)

    def _release(self, ref: AttemptRef) -> _Agent | None:
        holder, session = self._holders.get(ref.task_id, (None, ""))
        if holder != ref:
            return None
        del self._holders[ref.task_id]
        self._claiming.discard(ref)
        self._agents[session].taken.discard(ref)
        return self._agents[session]

    def _tell(self) -> None:
        for watcher in self._watchers:
            watcher()

    def _free(self, agent: _Agent, boottime: float) -> int:
        agent.refused = {ref: until for ref, until in agent.refused.items() if until > boottime}
        return agent.capacity - len(agent.taken) - len(agent.refused)
