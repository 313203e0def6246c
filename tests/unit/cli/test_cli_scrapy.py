"""`deploy` and `run` of a Scrapy project: its spiders are found first, and what is wrong with it is said."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Cli, finish, read_until

SPIDERS = """
import scrapy

class Shop(scrapy.Spider):
    name = "shop"

    async def start(self):
        yield scrapy.Request("data:text/plain,x", self.parse)

    def parse(self, response):
        yield {"day": self.day, "level": self.settings["LOG_LEVEL"]}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {
        "scrapy.cfg": "[settings]\ndefault = shop.settings\n",
        "shop/settings.py": 'SPIDER_MODULES = ["shop.spiders"]\n',
        "shop/spiders.py": SPIDERS,
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def test_deploy_names_the_spiders_and_run_gives_them_arguments_and_settings(up: Cli, project: Path) -> None:
    deployed = up("deploy", str(project), "--json")
    assert (deployed.code, deployed.json["spiders"]) == (0, ["shop"]), deployed.err
    assert "Scrapy is asked for the spiders" in deployed.err
    assert "Scrapy is asked" not in up("deploy", str(project)).err
    ran = up("run", str(project), "-a", "day=monday", "-s", "LOG_LEVEL=ERROR")
    assert ran.code == 0, ran.err
    assert up("items", "last").json == {"day": "monday", "level": "ERROR"}


def test_a_folder_is_listed_and_run_without_a_server(alone: Cli, project: Path) -> None:
    ran = alone("run", str(project), "-a", "day=monday")
    assert ran.code == 0, ran.err
    assert alone("items", "last").json["day"] == "monday"


def test_what_is_wrong_is_said_with_the_log_of_the_listing(up: Cli, project: Path) -> None:
    (project / "shop/spiders.py").write_text("import nothing_of_that_name\n")
    failed = up("deploy", str(project))
    assert (failed.code, failed.out) == (1, b"")
    assert "error: its spiders cannot be listed: exit code 1: ModuleNotFoundError" in failed.err
    assert failed.err.rstrip().endswith("No module named 'nothing_of_that_name'")


def test_settings_are_for_scrapy(up: Cli, folder: Path) -> None:
    refused = up("run", str(folder), "-s", "LOG_LEVEL=ERROR")
    assert refused.code == 2
    assert "takes no settings" in refused.err


def test_an_interrupt_of_run_cancels_the_listing(alone: Cli, project: Path) -> None:
    (project / "shop/spiders.py").write_text("import time\nprint('begun', flush=True)\ntime.sleep(600)\n")
    process = alone.start("run", str(project))
    assert process.stderr is not None
    read_until(process.stderr, b"Scrapy is asked")
    process.send_signal(signal.SIGINT)
    ended = finish(process)
    assert ended.code == 3, ended.err
    assert "its spiders cannot be listed: cancelled" in ended.err


def test_a_listing_that_waits_for_a_node_says_so(up: Cli, project: Path) -> None:
    (project / "spider.toml").write_text('[placement]\nlabels = {gpu = "yes"}\n')
    process = up.start("deploy", str(project))
    assert process.stderr is not None
    assert b"gpu=yes" in read_until(process.stderr, b"it waits: ")
    process.kill()
    process.communicate()
    assert up("cancel", "last").code in (0, 3)
