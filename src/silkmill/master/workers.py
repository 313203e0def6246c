"""Workers: the sessions of connected agents, what is pushed to them, and their heartbeats."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

from silkmill.domain.errors import BadInput, Conflict, Duplicate, StaleSession
from silkmill.domain.node import Node
from silkmill.domain.states import Phase
from silkmill.domain.task import Task
from silkmill.master.feed import Feed, Hint, TaskChanged
from silkmill.master.predecessors import lose_predecessors
from silkmill.master.registration import settle
from silkmill.master.slots import Slots
from silkmill.master.tasks import Tasks
from silkmill.ports.clock import Clock
from silkmill.ports.link import CancelOrder, Command, Held, Kept, Registered, Registration
from silkmill.ports.store import Store, Stored


@dataclass(slots=True)
class _Connection:
    """A session known to this master. None in the queue: another session has replaced it."""

    node: Node
    commands: asyncio.Queue[Command | None] = field(default_factory=asyncio.Queue)


class Workers:
    """One connection per node. Commands are hints: a lost offer is withdrawn by its deadline, a cancel order
    is repeated in every answer."""

    def __init__(self, store: Store, tasks: Tasks, feed: Feed, clock: Clock) -> None:
        self._store, self._tasks, self._clock = store, tasks, clock
        self._connections: dict[str, _Connection] = {}
        self._beats: dict[str, Stored[Node]] = {}
        self.slots = Slots()
        feed.watch(self._notice)

    async def register(self, registration: Registration) -> Registered:
        """A new session for a node, and the attempts that go on under it.

        A repeat after Unavailable makes another session, which replaces the one before."""
        _check(registration)
        self._disconnect(registration.node)
        node, before = await self._new_session(registration)
        returned = [before] if before else []
        if node.embedded:
            returned += await self._replace_predecessors(node)
        settled = await self._settle_attempts(node, registration.held, returned)
        kept = [task for task in settled if task.attempt and task.attempt.session == node.session]
        self._connections[node.session] = _Connection(node)
        # A completing attempt has no process any more: its slot is free.
        self.slots.open(
            node.session,
            node.max_runners,
            [task.ref for task in kept if task.ref and task.row[1] is not Phase.COMPLETING],
        )
        return Registered(
            node.session,
            tuple(Kept(task.ref, task.positions) for task in kept if task.ref),
            _cancel_orders(kept),
        )

    async def heartbeat(self, node: str, session: str) -> tuple[CancelOrder, ...]:
        """Renew the lease; answered after the commit. Raises StaleSession."""
        await self._beat(node, session)
        return _cancel_orders(
            [
                task
                for task in await self._store.open_attempts()
                if task.attempt and task.attempt.session == session
            ]
        )

    async def commands(self, session: str) -> AsyncIterator[Command]:
        """What is pushed to the session, until another one replaces it. Raises StaleSession."""
        connection = self._connections.get(session)
        if connection is None:
            raise StaleSession("unknown", session)
        while (command := await connection.commands.get()) is not None:
            yield command

    def push(self, session: str, command: Command) -> None:
        """To a session of this master; passed over when it has just ended."""
        if connection := self._connections.get(session):
            connection.commands.put_nowait(command)

    def node(self, session: str) -> Node:
        """The node of a session that is connected here."""
        return self._connections[session].node

    def connected(self) -> list[Node]:
        """The nodes whose sessions are known to this master."""
        return [connection.node for connection in self._connections.values()]

    async def present_sessions(self) -> dict[str, str]:
        """The session that holds the lease of each node; a lost one holds none."""
        nodes = [stored.value for stored in await self._store.records(Node)]
        return {node.id: node.session for node in nodes if not node.lost}

    async def _new_session(self, registration: Registration) -> tuple[Node, Node | None]:
        """The node record with a new session, and as it was before."""
        change_id = secrets.token_hex(8)
        while True:
            stored = await self._store.record(Node, registration.node)
            node = self._node(registration, change_id, stored.value if stored else None)
            try:
                if stored is None:
                    await self._store.insert_record(node.id, node)
                else:
                    await self._store.replace_record(stored, node, change_id)
            except (Conflict, Duplicate):
                continue
            self._beats.pop(node.id, None)
            return node, stored.value if stored else None

    def _node(self, registration: Registration, session: str, before: Node | None) -> Node:
        return Node(
            id=registration.node,
            name=registration.name,
            session=f"{session}{secrets.token_hex(8)}",
            max_runners=registration.max_runners,
            boot_id=registration.boot_id,
            registered_at=self._clock.now(),
            embedded=registration.embedded,
            beat=before.beat + 1 if before else 0,
            labels=registration.labels,
        )

    async def _replace_predecessors(self, node: Node) -> list[Node]:
        predecessors = await lose_predecessors(self._store, node)
        for predecessor in predecessors:
            self._disconnect(predecessor.id)
        return predecessors

    async def _settle_attempts(self, node: Node, held: tuple[Held, ...], returned: list[Node]) -> list[Task]:
        """`returned`: what this node was before it registered; it brings back their attempts, or not."""
        by_ref = {one.ref: one for one in held}
        boots = {one.id: one.boot_id for one in (node, *returned)}
        now = self._clock.now()

        def decide(task: Task) -> Task | None:
            if task.attempt is None or task.ref is None or task.attempt.node not in boots:
                return None
            rebooted = boots[task.attempt.node] != node.boot_id
            return settle(task, node, by_ref.get(task.ref), now, rebooted=rebooted)

        of_node = [t for t in await self._store.open_attempts() if t.attempt and t.attempt.node in boots]
        return [await self._tasks.change(task.id, decide) for task in of_node]

    async def _beat(self, node: str, session: str) -> None:
        change_id = secrets.token_hex(8)
        kept = self._beats.pop(node, None)
        while True:
            stored = kept or await self._store.record(Node, node)
            if stored is not None and stored.value.session == session and not stored.value.lost:
                try:
                    beaten = replace(stored.value, beat=stored.value.beat + 1)
                    self._beats[node] = await self._store.replace_record(stored, beaten, change_id)
                    return
                except Conflict:
                    pass
            elif kept is None:
                raise StaleSession(node, session)
            kept = None

    def _disconnect(self, node: str) -> None:
        for session in [s for s, connection in self._connections.items() if connection.node.id == node]:
            self._connections.pop(session).commands.put_nowait(None)
            self.slots.close(session)

    def _notice(self, hint: Hint) -> None:
        if isinstance(hint, TaskChanged):
            self.slots.notice(hint.task)


def _check(registration: Registration) -> None:
    if registration.max_runners < 1:
        raise BadInput(
            f"max_runners is {registration.max_runners}", field="max_runners", remedy="give 1 or more"
        )


def _cancel_orders(tasks: list[Task]) -> tuple[CancelOrder, ...]:
    return tuple(order for task in tasks if (order := cancel_order(task)) is not None)


def cancel_order(task: Task) -> CancelOrder | None:
    """What an agent that holds the task's attempt must be told, in every answer until it has finished."""
    return CancelOrder(task.ref, task.cancel_forced) if task.ref and task.cancel_requested else None
