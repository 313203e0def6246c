"""docs/http.md and the application have the same routes."""

from __future__ import annotations

import re
from pathlib import Path

from tests.http.conftest import app_of
from tests.http.test_http_access import routes
from tests.support.master_rig import Rig

from silkmill.adapters.store.memory import MemoryStore
from silkmill.master.why import WaitsFor

TEXT = (Path(__file__).parents[2] / "docs" / "http.md").read_text()


def test_every_route_is_documented_and_every_documented_one_exists() -> None:
    documented = set(re.findall(r"^### (GET|POST|PUT|DELETE|PATCH) (\S+)$", TEXT, re.MULTILINE))
    assert documented == set(routes(app_of(Rig(MemoryStore()))))


def test_all_that_a_task_can_wait_for_is_documented() -> None:
    [said] = re.findall(r"`waits_for` is one of (.*)\.$", TEXT, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", said)) == set(WaitsFor)
