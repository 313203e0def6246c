"""Real runner processes for the tests, in the modes in which a runner can hold a spider."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from runner_driver import RunnerDriver

from silkmill.protocol import cgroup


@pytest.fixture(scope="session")
def cgroup_base() -> Iterator[str]:
    base = cgroup.find_cgroup_base("runner-tests")
    if base is None:
        pytest.skip("needs a writable cgroup hierarchy (v2, or the v1 freezer)")
    yield base
    assert cgroup.remove_group(base), cgroup.pids_in(base)


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[RunnerDriver]:
    """A runner on a host without cgroups."""
    driver = RunnerDriver(tmp_path)
    yield driver
    driver.close()


@pytest.fixture(params=["walk", pytest.param("cgroup", marks=pytest.mark.cgroup)])
def any_runner(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunnerDriver]:
    """The same test without cgroups and with them."""
    base = request.getfixturevalue("cgroup_base") if request.param == "cgroup" else ""
    driver = RunnerDriver(tmp_path, base)
    yield driver
    driver.close()
    if base:
        group = driver.last_slot["cgroup"]
        assert cgroup.remove_group(group), cgroup.pids_in(group)
