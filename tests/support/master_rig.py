"""A whole master without a network: real store, bucket and master parts, and an agent played by the test."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from silkmill.adapters.bucket import memory_bucket
from silkmill.adapters.local_link import LocalLink
from silkmill.domain.attempt import AttemptRef
from silkmill.domain.errors import Unavailable
from silkmill.domain.outcome import Facts
from silkmill.domain.states import Phase
from silkmill.domain.task import Task
from silkmill.domain.version import FileEntry
from silkmill.master.admission import Admission, Everything
from silkmill.master.cancel import Canceller
from silkmill.master.collector import Collector
from silkmill.master.cron import Cron
from silkmill.master.deploy import Deploy
from silkmill.master.dispatcher import Dispatcher
from silkmill.master.feed import Feed
from silkmill.master.firings import Firings
from silkmill.master.intake import Intake
from silkmill.master.listings import Listings
from silkmill.master.logs.writer import LogWriter
from silkmill.master.metrics import Metrics
from silkmill.master.outages import Outages
from silkmill.master.permits import PermitBook
from silkmill.master.preparations import Preparations
from silkmill.master.projects import Projects
from silkmill.master.recovery import Recovery
from silkmill.master.schedules import Schedules
from silkmill.master.spiders import Spiders
from silkmill.master.statistics import LiveStatistics
from silkmill.master.submission import Submission, SubmissionCheck
from silkmill.master.tasks import Tasks
from silkmill.master.uploads import Uploads
from silkmill.master.versions import Versions
from silkmill.master.workers import Workers
from silkmill.ports.bucket import Bucket
from silkmill.ports.link import Command, Held, Registered, Registration, WorkOrder
from silkmill.ports.store import Store
from silkmill.runtime.expressions import Expressions

Answer = TypeVar("Answer")
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SPIDER_TOML = 'name = "news"\ncommand = "/bin/true"\n'


class FakeClock:
    """Both clocks stand still until the test moves them."""

    def __init__(self) -> None:
        self._now, self._boottime = START, 1000.0

    def now(self) -> datetime:
        return self._now

    def boottime(self) -> float:
        return self._boottime

    def pass_time(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self._boottime += seconds

    def set_wall(self, seconds: float) -> None:
        """Somebody sets the wall clock: forward, or back."""
        self._now += timedelta(seconds=seconds)


class Rig:
    """The parts of a master over one store and bucket."""

    def __init__(
        self,
        store: Store,
        bucket: Bucket | None = None,
        clock: FakeClock | None = None,
        admission: Admission | None = None,
    ) -> None:
        admission = admission or Everything(store)
        self.store, self.bucket, self.clock = store, bucket or memory_bucket(), clock or FakeClock()
        self.feed = Feed()
        self.metrics = Metrics(self.feed)
        self.tasks = Tasks(store, self.feed)
        self.versions = Versions(store, self.clock)
        self.outages = Outages(self.clock)
        self.schedules = Schedules(store, self.versions, self.clock)
        self.spiders = Spiders(store, self.versions, self.schedules, self.feed, self.clock)
        self.uploads = Uploads(store, self.bucket, self.outages, self.clock)
        self.preparations = Preparations(self.clock)
        self.workers = Workers(store, self.tasks, self.feed, self.clock)
        self.projects = Projects(store, self.feed)
        self.permits = PermitBook(self.versions, self.projects)
        self.dispatcher = Dispatcher(admission, self.tasks, self.permits, self.workers, self.feed, self.clock)
        check = SubmissionCheck(self.versions, self.workers)
        self.intake = Intake(
            store, self.bucket, self.tasks, self.versions, check, self.dispatcher, admission, self.clock
        )
        self.listings = Listings(store, self.intake, self.feed, self.clock)
        self.deploy = Deploy(store, self.uploads, self.versions, self.spiders, self.listings, self.clock)
        self.statistics = LiveStatistics(store, self.feed, self.clock)
        self.expressions = Expressions()
        self.logs = LogWriter(store, self.bucket, self.tasks.change)
        self.collector = Collector(
            store=store,
            tasks=self.tasks,
            versions=self.versions,
            slots=self.workers.slots,
            logs=self.logs,
            feed=self.feed,
            outages=self.outages,
            statistics=self.statistics,
            preparations=self.preparations,
            clock=self.clock,
        )
        self.cancel = Canceller(self.tasks, self.workers, self.clock)
        self.firings = Firings(store, self.tasks, check, self.cancel, self.feed, self.clock)
        self.cron = Cron(self.schedules, self.spiders, self.firings, self.clock)
        self.recovery = Recovery(
            store=store,
            tasks=self.tasks,
            workers=self.workers,
            versions=self.versions,
            groups=self.intake.groups,
            outages=self.outages,
            preparations=self.preparations,
            clock=self.clock,
        )
        self.link = LocalLink(self.workers, self.collector, self.uploads)

    def restarted(self) -> Rig:
        """Another master process over the same records; what the first one had in memory is gone."""
        return Rig(self.store, self.bucket, self.clock)

    async def deploy_spider(self, text: str = SPIDER_TOML) -> str:
        """Deploy a folder that holds nothing but this spider.toml; answers with the version's id."""
        data = text.encode()
        sha = hashlib.sha256(data).hexdigest()
        await self.uploads.put_blob(sha, data)
        return (await self.deploy.create_version(None, [FileEntry("spider.toml", sha, len(data))])).version.id

    def line(self, spider: str = "news", **given: Any) -> Submission:
        return Submission("default", spider, **given)

    async def submit(self, **given: Any) -> Task:
        return await self.intake.submit(self.line(**given))

    async def task(self, task_id: str) -> Task:
        return await self.tasks.get(task_id)


@dataclass
class Agent:
    """An agent played by the test; it keeps what a real one keeps."""

    rig: Rig
    node: str = "node-1"
    max_runners: int = 2
    boot_id: str = "boot-1"
    embedded: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    session: str = ""
    commands: AsyncIterator[Command] = field(init=False)

    async def register(self, *held: Held) -> Registered:
        registered = await self.rig.link.register(self.registration(*held))
        self.session = registered.session
        self.commands = self.rig.link.commands(self.session)
        return registered

    def registration(self, *held: Held) -> Registration:
        own = self.node, self.node, self.boot_id, self.max_runners
        return Registration(*own, held, labels=self.labels, embedded=self.embedded)

    async def offered(self) -> AttemptRef:
        """Let the dispatcher place, and take the offer that it pushes."""
        await self.rig.dispatcher.tick()
        return (await anext(self.commands)).ref

    async def accepted(self) -> WorkOrder:
        return await self.rig.link.accept(self.session, await self.offered())

    async def started(self, pid: int = 4711) -> AttemptRef:
        ref = (await self.accepted()).ref
        await self.rig.link.start(self.session, ref, pid, self.rig.clock.now())
        return ref

    async def running(self, **submitted: Any) -> AttemptRef:
        """The first attempt of a new task, its spider running."""
        await self.rig.submit(**submitted)
        return await self.started()

    async def completing(self) -> AttemptRef:
        ref = await self.started()
        await self.rig.link.exit(self.session, ref)
        return ref

    async def log(self, ref: AttemptRef, data: bytes, offset: int = 0) -> int:
        return await self.rig.link.append_log(self.session, ref, offset, data)

    async def items(self, ref: AttemptRef, records: list[bytes], offset: int = 0, first: int = 0) -> int:
        return await self.rig.link.append_items(self.session, ref, offset, first, records)

    async def finish(self, ref: AttemptRef, **given: Any) -> None:
        await self.rig.link.finish(self.session, ref, self.facts(**given))

    def facts(self, **given: Any) -> Facts:
        """Facts of a spider that ended well, but for what is given."""
        now = self.rig.clock.now()
        return Facts(
            **{"ended_at": now, "started_at": now, "started": True, "pid": 4711, "exit_code": 0} | given
        )

    def held(self, ref: AttemptRef, phase: Phase = Phase.EXECUTING) -> Held:
        return Held(ref, phase, 4711, self.rig.clock.now())


class LateRead:
    """The next read of a task is made at once and answered late."""

    def __init__(self, store: Store) -> None:
        self._store, self._read = store, store.task
        self.made, self.answered = asyncio.Event(), asyncio.Event()
        store.task = self._late  # type: ignore[method-assign]

    async def _late(self, task_id: str) -> Task | None:
        self._store.task = self._read  # type: ignore[method-assign]
        task = await self._read(task_id)
        self.made.set()
        await self.answered.wait()
        return task


async def repeated(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """What an agent does while no master answers: the same call again."""
    for _ in range(10):
        try:
            return await call()
        except Unavailable:
            continue
    raise AssertionError("never answered")
