"""Real runner processes for the tests, in every mode in which a runner can hold a spider."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from runner_driver import RunnerDriver, wait_until

from silkmill.protocol import cgroup

MODES = ["walk", *(pytest.param(mode, marks=pytest.mark.cgroup) for mode in ("v2", "freezer"))]


@pytest.fixture(params=MODES)
def cgroup_base(request: pytest.FixtureRequest) -> Iterator[str]:
    """A writable base in the hierarchy the test asks for ("" for none); skips where the host has none."""
    mode = request.param
    if mode == "walk":
        yield ""
        return
    homes = [home for home in cgroup.own_groups() if ("freezer" in home) == (mode == "freezer")]
    if not homes or not os.access(f"{homes[0]}/cgroup.procs", os.W_OK):
        pytest.skip(f"needs a writable cgroup hierarchy of the kind {mode}")
    base = Path(homes[0]) / f"silkmill-runner-tests-{os.getpid()}"
    base.mkdir()
    yield str(base)
    wait_until(lambda: cgroup.remove_group(str(base)), "an empty group")
    assert not base.exists()


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[RunnerDriver]:
    """A runner on a host without cgroups."""
    driver = RunnerDriver(tmp_path)
    yield driver
    driver.close()


@pytest.fixture
def any_runner(tmp_path: Path, cgroup_base: str) -> Iterator[RunnerDriver]:
    """The same test without cgroups and with each kind of them."""
    driver = RunnerDriver(tmp_path, cgroup_base)
    yield driver
    driver.close()
