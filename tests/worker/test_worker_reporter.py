"""What the agent ships of running attempts: the latest, when it changed, all in one message."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from worker_driver import WorkerDriver, ended, wait_until
from worker_master import FakeMaster, Stored

from silkmill.domain.attempt import AttemptRef
from silkmill.domain.errors import StaleSession, Unavailable
from silkmill.domain.states import Phase
from silkmill.ports.link import Report
from silkmill.worker.reporter import Reporter

MIB = 1 << 20
FORKS = """
import os, time
print('{"type":"STATUS","payload":{"progress": 0.50,"page":7}}', flush=True)
if os.fork() == 0:
    block = bytearray(os.urandom(1 << 20) * 50)
time.sleep(600)
"""


@dataclass
class Told:
    """An attempt whose status file the test writes."""

    ref: AttemptRef
    directory: Path
    phase: Phase = Phase.EXECUTING

    def say(self, **value: Any) -> None:
        self.directory.mkdir(exist_ok=True)
        new = self.directory / "new"
        new.write_text(json.dumps(value))
        new.rename(self.directory / "status.json")


class Link:
    """Records the messages; `fault` strikes instead."""

    def __init__(self) -> None:
        self.messages: list[list[Report]] = []
        self.fault: Exception | None = None

    async def statistics(self, session: str, reports: list[Report]) -> None:
        if self.fault is not None:
            raise self.fault
        self.messages.append(reports)


class Session:
    id = "session-1"


class Setting:
    """A reporter over two attempts."""

    def __init__(self, folder: Path) -> None:
        self.link, self.session = Link(), Session()
        self.one, self.other = (Told(AttemptRef("task", n), folder / str(n)) for n in (1, 2))
        self.reporter = Reporter(
            self.link,  # type: ignore[arg-type]
            self.session,  # type: ignore[arg-type]
            lambda: [self.one, self.other],  # type: ignore[list-item]
        )

    async def told(self) -> list[tuple[int, int | None]]:
        """(attempt, errors) of the message of one look; nothing when there was none."""
        before = len(self.link.messages)
        await self.reporter.tick()
        return [(r.ref.number, r.statistics.errors) for m in self.link.messages[before:] for r in m]


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path)


async def test_only_what_changed_is_shipped_in_one_message(setting: Setting) -> None:
    assert await setting.told() == []
    setting.one.say(errors=1)
    setting.other.say(errors=2)
    assert await setting.told() == [(1, 1), (2, 2)]
    assert len(setting.link.messages) == 1
    assert await setting.told() == []
    setting.other.say(errors=3)
    assert await setting.told() == [(2, 3)]


async def test_only_what_runs_is_looked_at(setting: Setting) -> None:
    setting.one.say(errors=1)
    setting.one.phase = Phase.COMPLETING
    assert await setting.told() == []


@pytest.mark.parametrize("fault", [Unavailable("link", "away"), StaleSession("node", "session-1")])
async def test_an_unanswered_message_is_not_repeated_but_the_next_look_ships_all(
    setting: Setting, fault: Exception
) -> None:
    setting.one.say(errors=1)
    setting.other.say(errors=2)
    setting.link.fault = fault
    assert await setting.told() == []
    setting.one.say(errors=5)
    setting.link.fault = None
    assert await setting.told() == [(1, 5), (2, 2)]


async def test_a_master_that_has_just_met_us_is_told_all(setting: Setting) -> None:
    setting.one.say(errors=1)
    assert await setting.told() == [(1, 1)]
    setting.session.id = "session-2"
    assert await setting.told() == [(1, 1)]
    assert await setting.told() == []


async def test_what_is_gone_is_forgotten(setting: Setting) -> None:
    setting.one.say(errors=1)
    assert await setting.told() == [(1, 1)]
    (setting.one.directory / "status.json").unlink()
    assert await setting.told() == []
    setting.one.say(errors=1)
    assert await setting.told() == [(1, 1)]


def reported(stored: Stored) -> Callable[[], Report | None]:
    """The latest report that tells of the whole tree."""

    def latest() -> Report | None:
        known = [report for report in stored.reports if (report.statistics.rss_bytes or 0) > 50 * MIB]
        return known[-1] if known and (known[-1].statistics.processes or 0) >= 2 else None

    return latest


async def test_a_running_tree_is_reported(worker: WorkerDriver, master: FakeMaster) -> None:
    stored = master.offer([sys.executable, "-c", FORKS])
    report = await wait_until(reported(stored), "a report")
    assert report.statistics.progress == 0.5
    assert report.status == '{"progress": 0.50,"page":7}'
    master.cancel(stored, force=True)
    facts = (await ended(stored)).facts
    assert facts is not None and facts.max_rss_bytes is not None and facts.max_rss_bytes > 50 * MIB
    assert facts.max_processes == 2
    assert facts.status == report.status


async def test_the_next_agent_goes_on_reporting(data: Path, master: FakeMaster) -> None:
    async with WorkerDriver(master, data):
        stored = master.offer([sys.executable, "-c", FORKS])
        await wait_until(reported(stored), "a report")
    stored.reports.clear()
    async with WorkerDriver(master, data):
        await wait_until(reported(stored), "a report of the next agent")
        master.cancel(stored, force=True)
        await ended(stored)


async def test_a_dead_runner_leaves_the_last_numbers(data: Path, master: FakeMaster) -> None:
    async with WorkerDriver(master, data) as worker:
        stored = master.offer([sys.executable, "-c", FORKS])
        report = await wait_until(reported(stored), "a report")
        os.kill(worker.agent.runner_pids[0], 9)
        facts = (await ended(stored)).facts
    assert facts is not None and facts.lost
    assert facts.max_rss_bytes is not None and facts.max_rss_bytes >= report.statistics.rss_bytes
    assert (facts.max_processes, facts.progress, facts.status) == (2, 0.5, report.status)
