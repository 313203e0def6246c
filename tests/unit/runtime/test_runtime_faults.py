"""Fault points: off by default, exact in when and how often they strike."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from silkmill.domain.errors import Unavailable
from silkmill.runtime import faults


@pytest.fixture(autouse=True)
def _disarm() -> Iterator[None]:
    yield
    faults.disarm()


def strikes(name: str, hits: int) -> list[int]:
    """Which of the hits, counted from 1, raised."""
    raised = []
    for number in range(1, hits + 1):
        try:
            faults.hit(name)
        except Unavailable:
            raised.append(number)
    return raised


async def test_nothing_happens_at_points_that_are_not_armed() -> None:
    faults.arm("store.other=error*99")
    faults.hit("store.after_commit")
    await faults.point("store.after_commit")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a.b=error", [1]), ("a.b=error@3", [3]), ("a.b=error*2", [1, 2]), ("a.b=error@2*3", [2, 3, 4])],
)
def test_a_fault_strikes_at_its_hits(text: str, expected: list[int]) -> None:
    faults.arm(text)
    assert strikes("a.b", 6) == expected
    assert faults.hits("a.b") == 6


async def test_the_error_names_the_part() -> None:
    faults.arm("bucket.put=error")
    with pytest.raises(Unavailable) as raised:
        await faults.point("bucket.put")
    assert raised.value.part == "bucket"


async def test_a_pause_lasts() -> None:
    faults.arm("a.b=pause:0.05*2")
    began = time.monotonic()
    faults.hit("a.b")
    await faults.point("a.b")
    assert time.monotonic() - began >= 0.1


def test_several_faults_and_arming_anew() -> None:
    faults.arm("a.b=error, c.d=error@2")
    assert (strikes("a.b", 2), strikes("c.d", 2)) == ([1], [2])
    faults.arm("a.b=error")
    assert strikes("a.b", 2) == [1]
    faults.disarm()
    assert strikes("c.d", 2) == []


@pytest.mark.parametrize("text", ["a.b", "a.b=explode", "a.b=error@", "a.b=pause", "a.b=error*2@3"])
def test_what_is_not_a_fault_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a fault"):
        faults.arm(text)


def test_the_environment_arms_and_kill_kills() -> None:
    code = "from silkmill.runtime import faults\nfor n in range(3): faults.hit('a.b'); print(n, flush=True)"
    environment = {**os.environ, "SILKMILL_FAULTS": "a.b=kill@2"}
    process = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)
    assert process.returncode == -signal.SIGKILL
    assert b"0" in process.stdout.splitlines()
    assert b"1" not in process.stdout.splitlines()
