"""A runner as the agent sees it: answers that cross with the next attempt are taken for what they are."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any, cast

import pytest

from silkmill.worker.execution import End, Execution
from silkmill.worker.runner import Runner
from silkmill.worker.runner_link import Event, RunnerLink
from silkmill.worker.runner_process import RunnerProcess


class RecordingLink:
    def __init__(self) -> None:
        self.sent: list[str] = []

    def send(self, operation: dict[str, Any]) -> None:
        self.sent.append(operation["op"])

    def close(self) -> None:
        return


@pytest.fixture
def process() -> Iterator[RunnerProcess]:
    sleeping = subprocess.Popen(["sleep", "600"])
    yield RunnerProcess(sleeping.pid, "")
    sleeping.kill()
    sleeping.wait()


@pytest.fixture
async def runner(process: RunnerProcess) -> Any:
    runner = Runner(process, lambda _: None)
    runner._link = cast(RunnerLink, RecordingLink())
    yield runner
    runner.leave()


def execution(name: str) -> Execution:
    return Execution(name, lambda *_: None)


async def test_an_answer_about_the_attempt_before_does_not_end_the_next(runner: Runner) -> None:
    first, second = execution("first"), execution("second")
    runner.run(first)
    runner.cancel(force=True)
    runner._hear(Event("done", "first"))
    runner.run(second)
    runner._hear(Event("hello", None, phase="idle"))  # said before it heard of the second
    assert (first.end, second.end) == (End.DONE, None)
    assert cast(RecordingLink, runner._link).sent == ["run", "cancel", "hello", "run"]


async def test_an_answer_about_this_attempt_counts(runner: Runner) -> None:
    gone = execution("gone")
    runner.attach(gone)
    runner._hear(Event("hello", None, phase="idle"))
    assert gone.end is End.GONE
