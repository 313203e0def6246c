"""Spiders for the SDK tests."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scrapy_project import Project
from sdk_spider import Said, package_folder, read_all, start
from tests.support.web_site import Site, open_site, refused_port


@pytest.fixture(scope="session")
def sdk_folder() -> Iterator[Path]:
    folder = package_folder()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def run_spiders(sdk_folder: Path, tmp_path: Path) -> Callable[..., Said]:
    """Runs `count` processes of a script that share one stdout, and decodes it."""

    def run(script: str, count: int = 1) -> Said:
        path = tmp_path / "spider.py"
        path.write_text(script)
        reader, writer = os.pipe()
        spiders = [
            start(path, sdk_folder, str(number), stdin=subprocess.DEVNULL, stdout=writer)
            for number in range(count)
        ]
        os.close(writer)
        said = read_all(reader)
        assert [spider.wait(30) for spider in spiders] == [0] * count
        return said

    return run


@pytest.fixture
def project(sdk_folder: Path, tmp_path: Path) -> Project:
    return Project(tmp_path, sdk_folder)


@pytest.fixture
def site() -> Iterator[Site]:
    with open_site() as site:
        yield site


@pytest.fixture
def refused() -> Iterator[str]:
    """An address that refuses connections."""
    with refused_port() as port:
        yield f"http://127.0.0.1:{port}/"
