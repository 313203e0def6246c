"""A runner without descriptors left makes no pipes, and loses none over it."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from silkmill.runner.pipes import Pipes


def open_descriptors() -> set[int]:
    return {number for number in range(resource.getrlimit(resource.RLIMIT_NOFILE)[0]) if is_open(number)}


def is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


@contextmanager
def room_for(descriptors: int) -> Iterator[None]:
    """A limit under which so many more can be opened."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free, number = 0, 0
    while free < descriptors:
        free += not is_open(number)
        number += 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("room", range(1, 6))
def test_no_descriptor_is_left_open_when_they_run_out(room: int) -> None:
    before = open_descriptors()
    with room_for(room), pytest.raises(OSError, match="Too many open files"):
        Pipes(with_stdin=True)
    assert open_descriptors() == before


def test_six_are_enough() -> None:
    with room_for(6):
        pipes = Pipes(with_stdin=True)
    pipes.close()
    pipes.close_child_ends()
