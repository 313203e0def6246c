"""One server for the tests of a module, and a way to run a script on it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.engine.server import Server, spider_folder

_numbers = itertools.count(1)
Deploy = Callable[..., str]
Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("engine") / "data", max_runners=4) as running:
        yield running


@pytest.fixture
def deploy(server: Server, tmp_path: Path) -> Deploy:
    """`deploy(script, toml="", command=…)`: a spider of its own name, which is the answer."""

    def deploy(script: str, toml: str = "", **more: str) -> str:
        folder = spider_folder(tmp_path, f"spider-{next(_numbers)}", script, toml, **more)
        server.deploy(folder)
        return folder.name

    return deploy


@pytest.fixture
def run(server: Server, deploy: Deploy) -> Run:
    """`run(script, toml="", env={…})`: the task when it has ended."""

    def run(script: str, toml: str = "", **submission: Any) -> dict[str, Any]:
        return server.wait(server.submit(deploy(script, toml), **submission), seconds=60)

    return run
