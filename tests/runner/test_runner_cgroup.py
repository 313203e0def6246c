"""Finding, killing and removing a cgroup, on each kind of hierarchy this host has."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from runner_driver import wait_until

from silkmill.protocol import cgroup

pytestmark = pytest.mark.cgroup
KINDS = pytest.mark.parametrize("cgroup_base", ["v2", "freezer"], indirect=True)


@pytest.fixture
def sleepers(cgroup_base: str) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A group with a process in it and one in a group below it."""
    group = f"{cgroup_base}/attempt"
    processes = []
    for place in (group, f"{group}/inner"):
        Path(place).mkdir()
        processes.append(subprocess.Popen(["sleep", "60"]))
        Path(place, "cgroup.procs").write_text(str(processes[-1].pid))
    yield group, processes
    for process in processes:
        process.kill()
        process.wait()


@KINDS
def test_kill_and_remove(sleepers: tuple[str, list[subprocess.Popen[bytes]]]) -> None:
    group, processes = sleepers
    pids = {process.pid for process in processes}
    assert cgroup.pids_in(group) == pids
    assert not cgroup.remove_group(group)
    assert cgroup.kill_group(group) == pids
    assert [process.wait(timeout=5) for process in processes] == [-9, -9]
    wait_until(lambda: cgroup.remove_group(group), "the empty group")
    assert cgroup.pids_in(group) == set()
    assert cgroup.remove_group(group)
    assert cgroup.kill_group(group) == set()


@KINDS
def test_kill_where_the_kernel_has_no_kill_file(
    sleepers: tuple[str, list[subprocess.Popen[bytes]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    group, processes = sleepers
    exists = os.path.exists
    monkeypatch.setattr("os.path.exists", lambda path: not path.endswith("cgroup.kill") and exists(path))
    cgroup.kill_group(group)
    assert [process.wait(timeout=5) for process in processes] == [-9, -9]


def test_the_base_is_found_below_our_own_group() -> None:
    base = cgroup.find_cgroup_base("runner-cgroup-test")
    if base is None:
        pytest.skip("needs a writable cgroup hierarchy (v2, or the v1 freezer)")
    assert cgroup.find_cgroup_base("runner-cgroup-test") == base
    assert Path(base).parent == Path(cgroup.home_of(base))
    assert os.getpid() in cgroup.pids_in(cgroup.home_of(base))
    assert not list(Path(base).glob("probe*"))
    assert cgroup.remove_group(base)


def test_no_base_where_nothing_can_be_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "own_groups", lambda: iter(["/proc/self", str(tmp_path)]))
    assert cgroup.find_cgroup_base("runner-cgroup-test") is None
    assert list(tmp_path.iterdir()) == []
