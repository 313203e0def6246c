"""What the routes need of the engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import Request

from silkmill.ports.clock import Clock
from silkmill.ports.store import Store

if TYPE_CHECKING:
    from silkmill.master.cancel import Canceller
    from silkmill.master.deploy import Deploy
    from silkmill.master.dispatcher import Dispatcher
    from silkmill.master.feed import Feed
    from silkmill.master.intake import Intake
    from silkmill.master.log_search import LogSearch
    from silkmill.master.logs import LogReader
    from silkmill.master.permits import PermitBook
    from silkmill.master.projects import Projects
    from silkmill.master.tasks import Tasks
    from silkmill.master.workers import Workers
    from silkmill.runtime.enginelog import EngineLog


@dataclass(frozen=True, slots=True)
class Parts:
    """Made by `compose`, given to `create_app`."""

    store: Store
    clock: Clock
    tasks: Tasks
    intake: Intake
    deploy: Deploy
    cancel: Canceller
    feed: Feed
    log_reader: LogReader
    log_search: LogSearch
    engine_log: EngineLog | None
    """None where the engine keeps none in files."""
    workers: Workers
    dispatcher: Dispatcher
    permits: PermitBook
    projects: Projects


def parts_of(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts
