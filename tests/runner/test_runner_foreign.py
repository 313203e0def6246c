"""Processes that run as another user by now: a runner cannot signal them, and must not die of it."""

from __future__ import annotations

import os
import subprocess
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from silkmill.protocol import cgroup
from silkmill.runner.main_process import MainProcess

NOBODY = 65534
pytestmark = pytest.mark.root


@pytest.fixture
def foreigner() -> Iterator[int]:
    """A process of root, in a session of its own."""
    if os.geteuid() != 0:
        pytest.skip("needs root to be somebody else")
    process = subprocess.Popen(["sleep", "600"], start_new_session=True)
    yield process.pid
    process.kill()
    process.wait()


def as_nobody(action: Callable[[], object]) -> bool:
    """Whether it ends without an exception in a process that may not signal root's."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            action()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_group_that_cannot_be_terminated(foreigner: int) -> None:
    assert as_nobody(lambda: MainProcess(foreigner).terminate_group())


def test_a_frozen_group_is_thawed_although_one_of_it_cannot_be_killed(foreigner: int) -> None:
    """Plain files stand for those of a v1 freezer; they lie where nobody may go too."""
    with tempfile.TemporaryDirectory() as name:
        group = Path(name)
        group.chmod(0o755)
        for file, text in (("cgroup.procs", f"{foreigner}\n"), ("freezer.state", "")):
            (group / file).write_text(text)
            (group / file).chmod(0o666)
        assert as_nobody(lambda: cgroup.kill_group(name))
        assert (group / "freezer.state").read_text() == "THAWED"
