"""What the routes need of the engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import Request

from silkmill.ports.clock import Clock
from silkmill.ports.store import Store

if TYPE_CHECKING:
    from silkmill.master.cancel import Canceller
    from silkmill.master.cron import Cron
    from silkmill.master.deploy import Deploy
    from silkmill.master.dispatcher import Dispatcher
    from silkmill.master.feed import Feed
    from silkmill.master.intake import Intake
    from silkmill.master.log_search import LogSearch
    from silkmill.master.logs import LogReader
    from silkmill.master.metrics import Metrics
    from silkmill.master.permits import PermitBook
    from silkmill.master.preparations import Preparations
    from silkmill.master.projects import Projects
    from silkmill.master.schedules import Schedules
    from silkmill.master.spiders import Spiders
    from silkmill.master.statistics import LiveStatistics
    from silkmill.master.tasks import Tasks
    from silkmill.master.uploads import Uploads
    from silkmill.master.versions import Versions
    from silkmill.master.workers import Workers
    from silkmill.runtime.enginelog import EngineLog
    from silkmill.runtime.expressions import Expressions


@dataclass(frozen=True, slots=True)
class Parts:
    """Made by `compose`, given to `create_app`."""

    store: Store
    clock: Clock
    tasks: Tasks
    intake: Intake
    uploads: Uploads
    deploy: Deploy
    versions: Versions
    spiders: Spiders
    cancel: Canceller
    feed: Feed
    log_reader: LogReader
    log_search: LogSearch
    engine_log: EngineLog | None
    """None where the engine keeps none in files."""
    expressions: Expressions
    workers: Workers
    dispatcher: Dispatcher
    permits: PermitBook
    projects: Projects
    metrics: Metrics
    schedules: Schedules
    cron: Cron
    statistics: LiveStatistics
    preparations: Preparations


def parts_of(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts
