"""A cancel in every phase: it is final, nothing lives on, and what is over stays as it was."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engine.server import Server, spider_folder, wait_for
from tests.support.marked import marked

SLEEPS = "import time\nprint('began', flush=True)\nwhile True: time.sleep(0.05)\n"
REFUSED = "raise ConnectionRefusedError(111, 'Connection refused')\n"
BACKOFF = '[retry]\nmax_attempts = 3\nbackoff = "1h"\nbackoff_max = "1h"\n'


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a single slot."""
    folder = tmp_path_factory.mktemp("cancel")
    with Server(folder / "data", max_runners=1) as server:
        server.deploy(spider_folder(folder, "sleeps", SLEEPS, '[limits]\ngrace = "1s"\n'))
        server.deploy(spider_folder(folder, "refused", REFUSED, BACKOFF))
        server.deploy(spider_folder(folder, "quick", "print('ran')\n"))
        yield server


def cancel(server: Server, task_id: str, *, force: bool = False) -> dict[str, object]:
    return dict(server.call("POST", f"/tasks/{task_id}/cancel", {"force": force}))


def test_while_pending(narrow: Server) -> None:
    running, waiting = narrow.submit("sleeps"), narrow.submit("quick")
    narrow.wait(running, "running")
    assert narrow.task(waiting)["state"] == "pending"
    assert cancel(narrow, waiting)["state"] == "cancelled"
    cancel(narrow, running, force=True)
    narrow.wait(running, "cancelled")
    task = narrow.task(waiting)
    assert (task["state"], task["attempts"], task["started_at"]) == ("cancelled", [], None)


def test_while_running(narrow: Server, tmp_path: Path) -> None:
    task_id = narrow.submit("sleeps", env={"MARK": str(tmp_path)})
    narrow.wait(task_id, "running")
    wait_for(lambda: narrow.log(task_id) == b"began\n", "its log")
    assert cancel(narrow, task_id)["state"] in ("running", "cancelled")
    task = narrow.wait(task_id)
    assert (task["state"], task["error_class"]) == ("cancelled", "cancelled")
    assert task["attempts"][0]["outcome"] == "cancelled"
    assert not marked(f"MARK={tmp_path}\0")
    assert narrow.log(task_id) == b"began\n"


def test_in_back_off(narrow: Server) -> None:
    task_id = narrow.submit("refused")
    narrow.wait(task_id, "created")
    task = cancel(narrow, task_id)
    assert (task["state"], task["next_attempt_at"]) == ("cancelled", None)
    assert [attempt["error_class"] for attempt in task["attempts"]] == ["network"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("after", [0.0, 0.005, 0.02, 0.05, 0.1, 0.2])
def test_on_its_way_to_the_start(narrow: Server, tmp_path: Path, after: float) -> None:
    """Whatever the phase at that moment: offered, preparing, executing."""
    task_id = narrow.submit("sleeps", env={"MARK": str(tmp_path)})
    time.sleep(after)  # the moment is what the test varies
    cancel(narrow, task_id)
    task = narrow.wait(task_id)
    assert task["state"] == "cancelled", task
    assert not marked(f"MARK={tmp_path}\0")
    quick = narrow.wait(narrow.submit("quick"))
    assert quick["state"] == "finished", "the slot is not used again"


def test_what_has_ended_stays(narrow: Server) -> None:
    task = narrow.wait(narrow.submit("quick"))
    assert cancel(narrow, task["id"]) == task
    assert narrow.task(task["id"]) == task


def test_twice_and_then_by_force(narrow: Server, tmp_path: Path) -> None:
    stubborn = SLEEPS.replace("import time", "import signal, time\nsignal.signal(15, signal.SIG_IGN)")
    narrow.deploy(spider_folder(tmp_path, "stubborn", stubborn, '[limits]\ngrace = "10m"\n'))
    task_id = narrow.submit("stubborn")
    wait_for(lambda: narrow.log(task_id) == b"began\n", "its log")
    cancel(narrow, task_id)
    cancel(narrow, task_id)
    assert narrow.task(task_id)["state"] == "running"
    cancel(narrow, task_id, force=True)
    assert narrow.wait(task_id, seconds=5)["state"] == "cancelled"
