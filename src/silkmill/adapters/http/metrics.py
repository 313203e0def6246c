"""Metrics of this engine, in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from silkmill import __version__
from silkmill.adapters.http.parts import Parts, parts_of
from silkmill.adapters.http.told import TEXT, told
from silkmill.domain.states import State
from silkmill.master.metrics import SECONDS, Histogram, Metrics

if TYPE_CHECKING:
    from prometheus_client import Metric

router = APIRouter()


@router.get("/metrics", **told("Metrics for Prometheus", TEXT))
async def metrics(request: Request) -> Response:
    """What runs and waits now, and what has ended since this engine started."""
    from prometheus_client import CollectorRegistry, ProcessCollector, exposition  # nobody may ever ask

    parts = parts_of(request)
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    counts = await parts.store.count_tasks()
    registry.register(_Collected([*_now(parts, counts), *_since(parts.metrics)]))
    return Response(exposition.generate_latest(registry), media_type=exposition.CONTENT_TYPE_LATEST)


class _Collected:
    """What a registry asks: it has been read before, for reading it takes turns of the event loop."""

    def __init__(self, found: list[Metric]) -> None:
        self._found = found

    def collect(self) -> list[Metric]:
        return self._found


def _now(parts: Parts, counts: dict[State, int]) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily

    yield InfoMetricFamily("silkmill", "The engine", {"version": __version__})
    tasks = GaugeMetricFamily("silkmill_tasks", "Tasks that are kept, by state", labels=["state"])
    for state in State:
        tasks.add_metric([state], counts.get(state, 0))
    yield tasks
    free = parts.workers.slots.free_by_session(parts.clock.boottime())
    slots = GaugeMetricFamily("silkmill_slots", "Slots of the connected nodes", labels=["node", "use"])
    for node in parts.workers.connected():
        slots.add_metric([node.id, "free"], free.get(node.session, 0))
        slots.add_metric([node.id, "taken"], node.max_runners - free.get(node.session, 0))
    yield slots


def _since(counted: Metrics) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily

    ended = CounterMetricFamily(
        "silkmill_tasks_ended", "Tasks that have ended", labels=["project", "state", "error_class"]
    )
    for labels, count in counted.ended.items():
        ended.add_metric(labels, count)
    yield ended
    attempts = CounterMetricFamily("silkmill_attempts", "Attempts that are over", labels=["outcome"])
    for outcome, count in counted.attempts.items():
        attempts.add_metric([outcome], count)
    yield attempts
    yield CounterMetricFamily("silkmill_items", "Items that were stored", counted.items)
    yield CounterMetricFamily("silkmill_log_bytes", "Bytes of logs that were stored", counted.log_bytes)
    yield _histogram("silkmill_wait_seconds", "From the making of a task to its first start", counted.waited)
    yield _histogram("silkmill_run_seconds", "From start to end of an attempt", counted.ran)


def _histogram(name: str, help: str, counted: Histogram) -> Metric:
    from prometheus_client.core import HistogramMetricFamily

    below = zip([*map(str, SECONDS), "+Inf"], accumulate(counted.counts), strict=True)
    return HistogramMetricFamily(name, help, buckets=list(below), sum_value=counted.sum)
