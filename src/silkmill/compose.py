"""The only module that knows all parts: it puts master, worker and API of one machine together."""

from __future__ import annotations

import asyncio
import os
import platform
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from silkmill import __version__
from silkmill.adapters.bucket import LocalBucket
from silkmill.adapters.clock import SystemClock
from silkmill.adapters.http.app import create_app
from silkmill.adapters.http.parts import Parts
from silkmill.adapters.http.server import serving
from silkmill.adapters.local_link import LocalLink
from silkmill.adapters.store.sqlite import SqliteStore
from silkmill.domain.errors import Unavailable
from silkmill.domain.retention import Policy
from silkmill.master import blob_objects, collection, deploy, groups, recovery, retention, statistics, upkeep
from silkmill.master.admission import Admission, Everything, OnlyGiven
from silkmill.master.belongings import AllSeries, Items, Logs
from silkmill.master.blob_objects import Leftovers
from silkmill.master.cancel import Canceller
from silkmill.master.collection import Collection
from silkmill.master.collector import Collector
from silkmill.master.cron import Cron
from silkmill.master.deploy import Deploy
from silkmill.master.dispatcher import Dispatcher
from silkmill.master.feed import Feed
from silkmill.master.firings import Firings
from silkmill.master.intake import Intake
from silkmill.master.listings import Listings
from silkmill.master.log_search import LogSearch
from silkmill.master.logs import LogReader, LogUpkeep, LogWriter
from silkmill.master.metrics import Metrics
from silkmill.master.outages import Outages
from silkmill.master.permits import PermitBook
from silkmill.master.preparations import Preparations
from silkmill.master.projects import Projects
from silkmill.master.recovery import Recovery
from silkmill.master.retention import Retention
from silkmill.master.schedules import Schedules
from silkmill.master.spiders import Spiders
from silkmill.master.statistics import LiveStatistics
from silkmill.master.submission import SubmissionCheck
from silkmill.master.tasks import Tasks
from silkmill.master.upkeep import Upkeep
from silkmill.master.uploads import Uploads
from silkmill.master.version_retention import VersionRetention
from silkmill.master.versions import Versions
from silkmill.master.workers import Workers
from silkmill.ports.bucket import Bucket
from silkmill.ports.clock import Clock
from silkmill.ports.store import Store
from silkmill.runtime import expressions, logging
from silkmill.runtime.datadir import DataDirectory
from silkmill.runtime.enginelog import EngineLog
from silkmill.runtime.expressions import Expressions
from silkmill.runtime.loop import every

_log = structlog.get_logger(__name__)

if TYPE_CHECKING:
    from silkmill.settings import Settings
    from silkmill.worker.agent import Agent
    from silkmill.worker.settings import AgentSettings


@dataclass(frozen=True, slots=True)
class Master:
    """The master's parts, joined."""

    parts: Parts
    link: LocalLink
    recovery: Recovery
    upkeep: Upkeep
    firings: Firings
    retention: Retention
    collection: Collection
    leftovers: Leftovers
    listings: Listings


def make_master(
    store: Store,
    bucket: Bucket,
    clock: Clock,
    admission: Admission | None = None,
    engine_log: EngineLog | None = None,
    policy: Policy | None = None,
) -> Master:
    """`admission` and `policy`: everything, if none is given."""
    admission, policy = admission or Everything(store), policy or Policy()
    feed = Feed()
    outages, preparations = Outages(clock), Preparations(clock)
    tasks, versions = Tasks(store, feed), Versions(store, clock)
    workers = Workers(store, tasks, feed, clock)
    projects = Projects(store, feed)
    permits = PermitBook(versions, projects)
    dispatcher = Dispatcher(admission, tasks, permits, workers, feed, clock)
    check = SubmissionCheck(versions, workers)
    intake = Intake(store, bucket, tasks, versions, check, dispatcher, admission, clock)
    schedules = Schedules(store, versions, clock)
    spiders = Spiders(store, versions, schedules, feed, clock)
    listings = Listings(store, intake, feed, clock)
    uploads = Uploads(store, bucket, outages, clock)
    deploy = Deploy(store, uploads, versions, spiders, listings, clock)
    canceller = Canceller(tasks, workers, clock)
    firings = Firings(store, tasks, check, canceller, feed, clock)
    writer = LogWriter(store, bucket, tasks.change)
    live = LiveStatistics(store, feed, clock)
    tried = Expressions()
    reader = LogReader(store, bucket, tried)
    collector = Collector(
        store, tasks, versions, workers.slots, writer, feed, outages, live, preparations, clock
    )
    return Master(
        parts=Parts(
            store=store,
            clock=clock,
            tasks=tasks,
            intake=intake,
            uploads=uploads,
            deploy=deploy,
            versions=versions,
            spiders=spiders,
            cancel=canceller,
            feed=feed,
            log_reader=reader,
            log_search=LogSearch(store, reader),
            engine_log=engine_log,
            expressions=tried,
            workers=workers,
            dispatcher=dispatcher,
            permits=permits,
            projects=projects,
            metrics=Metrics(feed),
            schedules=schedules,
            cron=Cron(schedules, spiders, firings, clock),
            statistics=live,
            preparations=preparations,
        ),
        link=LocalLink(workers, collector, uploads),
        recovery=Recovery(store, tasks, workers, versions, intake.groups, outages, preparations, clock),
        upkeep=Upkeep(store, LogUpkeep(store, bucket, tasks.change), clock),
        firings=firings,
        retention=Retention(
            store,
            tasks.change,
            Logs(store, bucket),
            Items(store),
            others=[AllSeries(store)],
            versions=VersionRetention(store, versions, policy.versions_for, clock),
            policy=policy,
            clock=clock,
        ),
        collection=Collection(store, bucket, clock),
        leftovers=Leftovers(store, bucket, clock),
        listings=listings,
    )


class Engine:
    """Master, worker and API of one machine: `silkmill up`, and `silkmill run` where no server runs."""

    def __init__(
        self,
        master: Master,
        agent: Agent,
        given: OnlyGiven | None,
        *,
        url: str,
        token: str,
        token_is_new: bool,
    ) -> None:
        self._master, self._agent, self._given = master, agent, given
        self.url, self.token, self.token_is_new = url, token, token_is_new

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings, *, only_given: bool = False) -> AsyncIterator[Engine]:
        """Holds the data directory and listens. `only_given`: it runs what is submitted to it, no backlog.

        Raises DataDirectoryBusy, BadInput, Unavailable, OSError."""
        from silkmill.worker.agent import Agent  # slow to load, and `reading` needs none

        directory = DataDirectory(settings.data)
        directory.make()
        async with AsyncExitStack() as stack:
            stack.enter_context(directory.locked())
            logging.set_up(directory.logs)
            store = stack.enter_context(SqliteStore.open(directory.database))
            given = OnlyGiven(store) if only_given else None
            bucket, engine_log = LocalBucket(directory.bucket), EngineLog(directory.logs)
            master = make_master(store, bucket, SystemClock(), given, engine_log, settings.policy)
            if given is not None:
                master.parts.feed.watch(given.notice)
            stack.push_async_callback(master.parts.expressions.close)
            token, is_new = directory.token()
            agent = Agent(master.link, directory.path, _agent_settings(settings), SystemClock())
            app = create_app(master.parts, token)
            url = await stack.enter_async_context(serving(app, settings.host, settings.port))
            stack.enter_context(directory.announced(url))
            _log.info("the engine has started", url=url, version=__version__, pid=os.getpid())
            stack.callback(_log.info, "the engine leaves")
            yield cls(master, agent, given, url=url, token=token, token_is_new=is_new)

    async def run(self) -> None:
        """Until `drain` has let everything end, or `cut`."""
        live = self._master.parts.statistics
        async with asyncio.TaskGroup() as group:
            loops = [
                group.create_task(self._master.parts.dispatcher.run()),
                group.create_task(every(recovery.TICK_SECONDS, self._master.recovery.tick)),
                group.create_task(every(upkeep.TICK_SECONDS, self._master.upkeep.tick)),
                group.create_task(every(retention.TICK_SECONDS, self._master.retention.tick)),
                group.create_task(every(collection.TICK_SECONDS, self._master.collection.tick)),
                group.create_task(every(blob_objects.TICK_SECONDS, self._master.leftovers.tick)),
                group.create_task(
                    every(
                        deploy.TICK_SECONDS, self._master.parts.deploy.tick, wake=self._master.listings.wake
                    )
                ),
                group.create_task(every(groups.TICK_SECONDS, self._master.parts.intake.groups.tick)),
                group.create_task(every(expressions.TICK_SECONDS, self._master.parts.expressions.tick)),
                group.create_task(self._master.firings.run()),
                group.create_task(every(statistics.TICK_SECONDS, live.tick, wake=live.wake)),
            ]
            if self._given is None:
                loops.append(group.create_task(self._master.parts.cron.run()))
            await self._agent.run()
            for loop in loops:
                loop.cancel()
        with suppress(Unavailable):  # lost as in a crash
            await live.leave()

    @property
    def given(self) -> OnlyGiven:
        """What an engine opened with `only_given` has to do."""
        assert self._given is not None, "this engine runs everything"
        return self._given

    def drain(self) -> None:
        """Take no new work; `run` returns when what runs has ended."""
        _log.info("draining", running=len(self._agent.held))
        self._agent.drain()
        self._master.parts.dispatcher.drain()  # its offers would only be refused, again and again

    def cut(self) -> None:
        """Leave now; runners and spiders live on, and the next engine adopts them."""
        _log.info("leaving at once", running=len(self._agent.held))
        self._agent.cut()

    def running(self) -> list[str]:
        """Ids of the tasks whose attempts are on this machine."""
        return [held.ref.task_id for held in self._agent.held]


@dataclass(frozen=True, slots=True)
class Reading:
    """A server that only this process uses, over a data directory that no engine holds."""

    url: str
    token: str


@asynccontextmanager
async def reading(data: Path) -> AsyncIterator[Reading]:
    """The API's reading half over a data directory: it dispatches nothing and takes no lock."""
    token = secrets.token_urlsafe(32)
    directory = DataDirectory(data)
    async with AsyncExitStack() as stack:
        store = stack.enter_context(SqliteStore.open(directory.database))
        bucket, engine_log = LocalBucket(directory.bucket), EngineLog(directory.logs)
        master = make_master(store, bucket, SystemClock(), engine_log=engine_log)
        stack.push_async_callback(master.parts.expressions.close)
        app = create_app(master.parts, token)
        yield Reading(await stack.enter_async_context(serving(app, "127.0.0.1", 0, grace_seconds=0)), token)


def _agent_settings(settings: Settings) -> AgentSettings:
    from silkmill.worker.settings import AgentSettings

    return AgentSettings(
        name=platform.node() or "localhost",
        max_runners=settings.max_runners,
        labels=settings.labels,
        containment=settings.containment,
        spool_bytes=settings.spool,
        cache_bytes=settings.cache,
        environments_bytes=settings.environments,
        environments_seconds=settings.environments_age,
        embedded=True,
        drain_seconds=settings.drain_timeout,
    )
