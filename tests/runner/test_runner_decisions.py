"""The parts of a runner that only decide: the due stop step, the limit reached, the last traceback."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from silkmill.runner.clock import NEVER
from silkmill.runner.ending import Ending
from silkmill.runner.limits import TimeLimits
from silkmill.runner.outcome import blank_outcome
from silkmill.runner.stopping import Stopping
from silkmill.runner.tracebacks import TracebackScan


def steps(stopping: Stopping, times: list[float]) -> list[tuple[float, str]]:
    return [(time, step) for time in times if (step := stopping.take(time))]


def test_the_steps_of_a_spider_that_listens() -> None:
    stopping = Stopping(grace=10.0)
    assert steps(stopping, [0.0, 99.0]) == []
    stopping.begin(100.0, can_ask=True)
    taken = steps(stopping, [100.0, 104.9, 105.0, 114.9, 115.0, 200.0])
    assert taken == [(100.0, "ask"), (105.0, "terminate"), (115.0, "kill")]
    assert stopping.begun
    assert stopping.due_at == NEVER


def test_the_steps_of_a_spider_that_does_not() -> None:
    stopping = Stopping(grace=0.5)
    stopping.begin(100.0, can_ask=False)
    stopping.begin(100.2, can_ask=True)  # a second cancel begins nothing anew
    assert steps(stopping, [100.2, 100.6, 100.7]) == [(100.2, "terminate"), (100.7, "kill")]


@pytest.mark.parametrize("begun", [True, False])
def test_force_goes_straight_to_the_kill(begun: bool) -> None:
    stopping = Stopping(grace=10.0)
    if begun:
        stopping.begin(100.0, can_ask=True)
        assert stopping.take(100.0) == "ask"
    stopping.force(101.0)
    stopping.force(101.0)
    assert steps(stopping, [101.0, 101.0, 120.0]) == [(101.0, "kill")]


def test_time_limits_stand_still_while_paused() -> None:
    limits = TimeLimits(runtime=10.0, stall=3.0, now=100.0)
    assert (limits.due_at, limits.exceeded(102.9), limits.exceeded(103.0)) == (103.0, None, "stall")
    limits.heard(102.0)
    assert limits.due_at == 105.0
    limits.pause(104.0)
    assert (limits.due_at, limits.exceeded(1000.0)) == (NEVER, None)
    limits.resume(204.0)
    assert limits.due_at == 205.0
    for now in (205.0, 208.0, 209.0):
        limits.heard(now)
    assert (limits.exceeded(209.9), limits.exceeded(210.0)) == (None, "runtime")


def test_no_limit_is_never_exceeded() -> None:
    assert TimeLimits(runtime=0.0, stall=0.0, now=1.0).due_at == NEVER


class Tree:
    """A tree that answers as told and records who asked for what."""

    def __init__(self) -> None:
        self.alive = {7, 8}
        self.kills = 0

    def enter(self) -> None:
        raise AssertionError

    def kill(self) -> set[int]:
        self.kills += 1
        return set(self.alive)

    def pids(self) -> set[int]:
        return set(self.alive)

    def is_gone(self) -> bool:
        return not self.alive


def described(ending: Ending) -> tuple[bool, list[int], int]:
    assert ending.over
    outcome = blank_outcome()
    ending.describe(outcome)
    return outcome["verified"], outcome["survivors"], outcome["leftovers"]


def test_a_tree_that_holds_the_pipes_has_one_second() -> None:
    tree = Tree()
    ending = Ending(tree)  # type: ignore[arg-type]
    ending.main_process_ended(10.0)
    for now in (10.0, 10.5, 10.99):
        ending.tick(now, pipes_ended=False)
    assert tree.kills == 0 and ending.due_at == 11.0
    ending.tick(11.0, pipes_ended=False)
    assert tree.kills == 1
    tree.alive.clear()
    ending.tick(11.02, pipes_ended=False)
    assert described(ending) == (True, [], 2)


def test_a_tree_without_pipes_is_killed_soon() -> None:
    tree = Tree()
    ending = Ending(tree)  # type: ignore[arg-type]
    ending.main_process_ended(10.0)
    ending.tick(10.0, pipes_ended=True)
    assert tree.kills == 0 and ending.due_at < 10.1
    ending.tick(10.1, pipes_ended=True)
    assert tree.kills == 1


def test_a_tree_that_does_not_die_is_given_up() -> None:
    tree = Tree()
    ending = Ending(tree)  # type: ignore[arg-type]
    ending.kill(10.0)
    ending.main_process_ended(10.1)
    for now in (10.2, 15.0, 19.9):
        ending.tick(now, pipes_ended=True)
    ending.tick(20.0, pipes_ended=True)
    assert described(ending) == (False, [7, 8], 0)  # they were killed together with the main process


VALUE_ERROR = b"""Traceback (most recent call last):
  File "a.py", line 1, in <module>
    f()
ValueError: bad
"""
GROUP = b"""  + Exception Group Traceback (most recent call last):
  |   File "a.py", line 3, in <module>
  | ExceptionGroup: two (1 sub-exception)
  +-+---------------- 1 ----------------
    | ConnectionRefusedError: no
    +------------------------------------
"""


def scan(data: bytes, cuts: list[int]) -> tuple[str | None, bool]:
    found = TracebackScan()
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    for start, end in itertools.pairwise(edges):
        found.feed(data[start:end], 0)
    found.finish()
    return found.text, found.ends_stream


@pytest.mark.parametrize(
    ("data", "text", "ends"),
    [
        (b"", None, False),
        (b"no traceback\n", None, False),
        (VALUE_ERROR, VALUE_ERROR, True),
        (VALUE_ERROR[:-1], VALUE_ERROR, True),
        (VALUE_ERROR.replace(b"\n", b"\r\n"), VALUE_ERROR.replace(b"\n", b"\r\n"), True),
        (VALUE_ERROR + b"\n  \n", VALUE_ERROR, True),
        (VALUE_ERROR + b"second line\n", VALUE_ERROR + b"second line", True),
        (VALUE_ERROR + b"INFO:root:going on\n", VALUE_ERROR, False),
        (VALUE_ERROR + b"INFO:root:going on", VALUE_ERROR, False),
        (b"log\n" + VALUE_ERROR + b"log\n" + VALUE_ERROR.replace(b"bad", b"worse"), b"worse", True),
        (b"x Traceback (most recent call last):\nValueError\n", None, False),
        (b"Traceback (most recent call last):\n  File", None, False),
        (VALUE_ERROR + b"Traceback (most recent call last):\n  File", VALUE_ERROR, False),
        (GROUP, GROUP, True),
        (b"log\n" + GROUP + b"[INFO] log\n", GROUP, False),
        (GROUP + VALUE_ERROR, VALUE_ERROR, True),
    ],
)
@given(cuts=st.lists(st.integers(0, 400), max_size=6))
def test_the_last_traceback(data: bytes, text: bytes | None, ends: bool, cuts: list[int]) -> None:
    found, ends_stream = scan(data, cuts)
    assert ends_stream == ends
    if text is None or found is None:
        assert (found is None) == (text is None)
    else:
        assert text.decode().rstrip() in found


def test_a_traceback_keeps_its_head_and_its_end() -> None:
    frames = b"".join(b'  File "a.py", line %d, in f\n' % n for n in range(100_000))
    data = b"Traceback (most recent call last):\n" + frames + b"ValueError: " + b"m" * 100_000 + b"\n"
    text, ends = scan(data, [50_000, 1_000_000])
    assert text is not None and ends
    assert len(text) <= 64 * 1024
    lines = text.splitlines()
    assert lines[1] == '  File "a.py", line 0, in f'
    assert lines[-1].startswith("ValueError: mmm")
