"""The agent: keeps the link to a master, takes its offers, and owns every attempt of this node."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import structlog

from silkmill.domain.attempt import AttemptRef
from silkmill.domain.errors import NoFreeSlot, StaleAttempt, StaleSession, Unavailable
from silkmill.domain.states import Phase
from silkmill.ports.clock import Clock
from silkmill.ports.link import CancelOrder, Command, MasterLink, Offer, Registered, Registration
from silkmill.protocol.cgroup import find_cgroup_base
from silkmill.runtime.loop import Backoff, every
from silkmill.worker.adoption import Found, find_attempts
from silkmill.worker.attempts import AttemptOwner
from silkmill.worker.directories import AttemptDirectories
from silkmill.worker.environments.environments import Environments
from silkmill.worker.held import Ending, HeldAttempt
from silkmill.worker.identity import boot_id, node_id
from silkmill.worker.prepare.blobs import BlobCache
from silkmill.worker.prepare.sdk import sdk_folder
from silkmill.worker.reporter import LOOK_SECONDS, Reporter
from silkmill.worker.runners import RunnerPool
from silkmill.worker.session import Session
from silkmill.worker.settings import AgentSettings
from silkmill.worker.sockets import digest_of, socket_folder
from silkmill.worker.workplace import Workplace

_log = structlog.get_logger(__name__)
HEARTBEAT_SECONDS = 5.0
_RECONNECT_SECONDS = 1.0
_CLEANING_SECONDS = 600.0


class Agent:
    """One per data directory, whose lock the caller holds.

    `run` goes on until `drain` has let all attempts end, or until `cut` (or the death of this process) leaves
    runners and spiders to the next agent."""

    def __init__(self, link: MasterLink, data: Path, settings: AgentSettings, clock: Clock) -> None:
        self._link = link
        self._data = data
        self._settings = settings
        self._session = Session(link, self._introduce, self._welcomed)
        self._owners: dict[AttemptRef, AttemptOwner] = {}
        self._draining = asyncio.Event()
        self._nothing_held = asyncio.Event()
        self._cut = False
        self._main_task: asyncio.Task[None] | None = None
        self._group = asyncio.TaskGroup()
        self._node = node_id(_made(data))
        self._place = self._make_place(clock)
        self._reporter = Reporter(link, self._session, lambda: self.held)

    @property
    def node(self) -> str:
        """The node's id."""
        return self._node

    @property
    def held(self) -> list[HeldAttempt]:
        """The attempts that are on this node now."""
        return [owner.held for owner in self._owners.values()]

    @property
    def runner_pids(self) -> list[int]:
        return self._place.pool.pids()

    def drain(self) -> None:
        """Take no new offers; let what runs end; then `run` returns."""
        self._draining.set()

    def cut(self) -> None:
        """Leave now. Runners and spiders live on, the next agent adopts them."""
        self._cut = True
        if self._main_task is not None:
            self._main_task.cancel()

    async def run(self) -> None:
        """Adopt, register, serve. Raises what is wrong with this node (OSError) or with us."""
        self._main_task = asyncio.current_task()
        try:
            async with self._group:
                await self._serve()
        except asyncio.CancelledError:
            if not self._cut or self._main_task is None:
                raise
            self._main_task.uncancel()
        finally:
            self._place.pool.leave()

    async def _serve(self) -> None:
        found = await find_attempts(self._place)
        await self._place.environments.take_stock()
        self._owners = {each.owner.held.ref: each.owner for each in found}
        self._resume(found, await self._session.begin())
        async with self._background():
            await self._draining.wait()
            await self._wait_nothing_held()
        await self._place.pool.retire()
        await self._place.leave_nothing()

    def _resume(self, found: list[Found], registered: Registered) -> None:
        kept = {each.ref: each.positions for each in registered.kept}
        if found:
            _log.info("attempts of an earlier agent go on", found=len(found), wanted=len(kept))
        for each in found:
            held = each.owner.held
            if held.ref in kept:
                held.streams.resume_at(kept[held.ref])
                self._own(each.owner, each.beginning)
            else:
                self._own(each.owner, each.owner.from_stale)
        self._cancel_all(registered.cancels)

    @contextlib.asynccontextmanager
    async def _background(self) -> AsyncIterator[None]:
        ticks = (
            self._read_commands(),
            every(HEARTBEAT_SECONDS, self._heartbeat),
            every(LOOK_SECONDS, self._reporter.tick),
            every(_RECONNECT_SECONDS, self._place.pool.reconnect),
            every(_CLEANING_SECONDS, self._clean),
            every(_CLEANING_SECONDS, self._place.directories.tick, wake=self._place.directories.wake),
        )
        tasks = [self._group.create_task(tick) for tick in ticks]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()

    async def _wait_nothing_held(self) -> None:
        try:
            async with asyncio.timeout(self._settings.drain_seconds):
                await self._wait_owners_gone()
        except TimeoutError:
            _log.warning("the drain takes too long, stopping what still runs", attempts=len(self._owners))
            for owner in self._owners.values():
                owner.held.give_back("the worker was drained")
            await self._wait_owners_gone()

    async def _wait_owners_gone(self) -> None:
        while self._owners:
            self._nothing_held.clear()
            await self._nothing_held.wait()

    # What the master says.
    async def _read_commands(self) -> None:
        backoff = Backoff()
        while True:
            session = self._session.id
            try:
                async for command in self._link.commands(session):
                    backoff.reset()
                    self._obey(command)
            except Unavailable as away:
                _log.warning("no commands, trying again", cause=str(away))
            except StaleSession:
                await self._session.renew(session)
            if self._session.id == session:
                await backoff.wait()

    async def _heartbeat(self) -> None:
        session = self._session.id
        try:
            self._cancel_all(await self._link.heartbeat(self._node, session))
        except StaleSession:
            await self._session.renew(session)

    def _obey(self, command: Command) -> None:
        if isinstance(command, CancelOrder):
            self._cancel_all((command,))
        elif command.ref not in self._owners:
            self._take_or_refuse(command)

    def _take_or_refuse(self, offer: Offer) -> None:
        try:
            if self._draining.is_set():
                raise NoFreeSlot("the worker is draining")
            slot = self._place.pool.take()
        except NoFreeSlot as full:
            self._group.create_task(self._refuse(offer, str(full)))
        else:
            owner = AttemptOwner(HeldAttempt(offer.ref, self._place, slot, Phase.PREPARING))
            self._own(owner, owner.from_offer)

    async def _refuse(self, offer: Offer, why: str) -> None:
        """Until it is answered: what was taken for us in advance (the embedded agent is not asked) is in
        nobody's hands but ours."""
        with contextlib.suppress(StaleAttempt):
            await self._session.answered(lambda session: self._link.refuse(session, offer.ref, why))

    def _cancel_all(self, orders: tuple[CancelOrder, ...]) -> None:
        for order in orders:
            owner = self._owners.get(order.ref)
            if owner is not None:
                owner.held.cancel(force=order.force)

    # What we say.
    def _introduce(self) -> Registration:
        return Registration(
            node=self._node,
            name=self._settings.name,
            boot_id=self._place.boot_id,
            max_runners=self._settings.max_runners,
            held=tuple(owner.held.report for owner in self._owners.values()),
            labels=self._settings.labels,
            embedded=self._settings.embedded,
        )

    def _welcomed(self, registered: Registered) -> None:
        """After a renewal: what is not kept is stale, an offer that came too late for the report too."""
        kept = {each.ref for each in registered.kept}
        for ref, owner in self._owners.items():
            if ref not in kept:
                owner.abandon()
        self._cancel_all(registered.cancels)

    # What we own.
    def _own(self, owner: AttemptOwner, beginning: Callable[[], Awaitable[Ending]]) -> None:
        self._owners[owner.held.ref] = owner
        self._group.create_task(self._let_live(owner, beginning))

    async def _let_live(self, owner: AttemptOwner, beginning: Callable[[], Awaitable[Ending]]) -> None:
        try:
            await owner.live(beginning)
        finally:
            del self._owners[owner.held.ref]
            self._nothing_held.set()

    async def _clean(self) -> None:
        await self._place.directories.remove_expired(self._settings.kept_seconds)
        await self._place.environments.tick()

    def _make_place(self, clock: Clock) -> Workplace:
        walk = self._settings.containment == "walk"
        cgroup_base = "" if walk else find_cgroup_base(digest_of(self._data)) or ""
        sockets = socket_folder(self._data)
        return Workplace(
            link=self._link,
            session=self._session,
            settings=self._settings,
            clock=clock,
            pool=RunnerPool(_made(self._data / "runners"), sockets, self._settings.max_runners, cgroup_base),
            blobs=BlobCache(self._data / "cache" / "blobs", self._session.blob, self._settings.cache_bytes),
            directories=AttemptDirectories(self._data / "attempts", self._data / "cache" / "released"),
            environments=Environments(
                self._data / "envs",
                self._group.create_task,
                cgroup_base,
                limit_bytes=self._settings.environments_bytes,
                kept_seconds=self._settings.environments_seconds,
            ),
            sockets=sockets,
            sdk=sdk_folder(self._data),
            boot_id=boot_id(),
            cgroup_base=cgroup_base,
        )


def _made(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder.resolve()
