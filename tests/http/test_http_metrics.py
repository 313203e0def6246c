"""GET /api/v1/metrics: what Prometheus reads."""

from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families
from tests.support.master_rig import Agent, Rig


async def read(http: httpx.AsyncClient) -> dict[str, float]:
    """Every sample, by its name and its labels."""
    answer = await http.get("/api/v1/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    samples = [one for family in text_string_to_metric_families(answer.text) for one in family.samples]
    return {
        " ".join([sample.name, *map("=".join, sample.labels.items())]): sample.value for sample in samples
    }


async def test_what_runs_waits_and_has_ended(
    http: httpx.AsyncClient, rig: Rig, agent: Agent, version: str
) -> None:
    await rig.submit()
    await rig.submit()
    rig.clock.pass_time(3)
    ref = await agent.started()
    await agent.items(ref, [b"{}"])
    seen = await read(http)
    assert (seen["silkmill_tasks state=running"], seen["silkmill_tasks state=pending"]) == (1, 1)
    assert (seen["silkmill_slots node=node-1 use=free"], seen["silkmill_slots node=node-1 use=taken"]) == (
        0,
        2,
    )
    assert seen["silkmill_items_total"] == 1
    assert seen["silkmill_wait_seconds_count"] == 1
    assert (seen["silkmill_wait_seconds_bucket le=2.5"], seen["silkmill_wait_seconds_bucket le=5.0"]) == (
        0,
        1,
    )
    assert seen["process_resident_memory_bytes"] > 0
    rig.clock.pass_time(1)
    await agent.finish(ref, items_count=1, items_size=3, exit_code=2)
    seen = await read(http)
    assert seen["silkmill_tasks_ended_total error_class=spider project=default state=error"] == 1
    assert seen["silkmill_attempts_total outcome=exit"] == 1
    assert (seen["silkmill_tasks state=running"], seen["silkmill_tasks state=error"]) == (0, 1)
    assert seen["silkmill_run_seconds_bucket le=+Inf"] == 1
