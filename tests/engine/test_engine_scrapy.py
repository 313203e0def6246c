"""Scrapy projects in the whole engine: deployed as they are, listed once, truthful ends, gentle cancels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.engine.server import Server, wait_for
from tests.support.web_site import Site, open_site, refused_port

SETTINGS = """
BOT_NAME = "shop"
SPIDER_MODULES = ["shop.spiders"]
ITEM_PIPELINES = {"shop.pipelines.Priced": 300}
RETRY_TIMES = 1
TELNETCONSOLE_ENABLED = False
CURRENCY = "EUR"
"""
PIPELINES = """
from scrapy.exceptions import DropItem

class Priced:
    def process_item(self, item):
        if item["page"] == "/2":
            raise DropItem("sold")
        return {**item, "price": 7}
"""
SPIDERS = """
import scrapy

class Shop(scrapy.Spider):
    name = "Shop"
    site, pages = "", "1"

    async def start(self):
        for page in self.pages.split(","):
            yield scrapy.Request(self.site + "/" + page)

    def parse(self, response):
        yield {"page": "/" + response.url.rpartition("/")[2], "currency": self.settings["CURRENCY"]}

class Broken(Shop):
    name = "broken"

    def parse(self, response):
        raise ValueError("no price")

class Slow(Shop):
    name = "slow"
    custom_settings = {"CONCURRENT_REQUESTS": 1}
"""
TOML = """
[retry]
max_attempts = 1
"""


class Project:
    """A folder, and its way to the server."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.write("scrapy.cfg", "[settings]\ndefault = shop.settings\n")
        self.write("spider.toml", TOML)
        self.write("shop/settings.py", SETTINGS)
        self.write("shop/pipelines.py", PIPELINES)
        self.write("shop/spiders.py", SPIDERS)
        self.write("shop/__init__.py", "")

    def write(self, path: str, text: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def post(self) -> dict[str, Any]:
        """The version, with `listing` if its spiders are not known."""
        return self.server.deploy_any(self.folder)

    def deploy(self) -> dict[str, Any]:
        version = self.post()
        if version["listing"]:
            listed = self.server.wait(version["listing"], seconds=60)
            assert listed["state"] == "finished", self.server.log(version["listing"], "stderr")
            version = self.post()
        return version

    def run(self, spider: str, **more: Any) -> dict[str, Any]:
        return self.server.wait(self.server.submit(spider, **more), seconds=60)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "data", max_runners=2) as running:
        yield running


@pytest.fixture
def project(server: Server, tmp_path: Path) -> Project:
    return Project(server, tmp_path / "project")


@pytest.fixture
def site() -> Iterator[Site]:
    with open_site() as running:
        yield running


def end_of(task: dict[str, Any]) -> tuple[str, str | None, int | None]:
    return task["state"], task["error_class"], task["exit_code"]


def listings(server: Server) -> int:
    return len(server.call("GET", "/tasks?spider=scrapy-list")["tasks"])


def test_a_project_is_listed_once_and_its_spiders_run(server: Server, project: Project, site: Site) -> None:
    version = project.deploy()
    assert version["spiders"] == ["broken", "shop", "slow"]
    assert project.deploy() == version and listings(server) == 1
    params = {"site": site.url(""), "pages": "1,2,3"}
    task = project.run("shop", params=params, settings={"CURRENCY": "USD", "CONCURRENT_REQUESTS": "1"})
    assert (task["state"], task["settings"]["CURRENCY"]) == ("finished", "USD")
    items = sorted(server.items(task["id"]), key=lambda item: item["page"])
    assert items == [{"page": page, "currency": "USD", "price": 7} for page in ("/1", "/3")]  # "/2" was sold
    assert (task["status"]["pages"], task["status"]["finish_reason"]) == (3, "finished")
    assert task["stats"]["errors"] == 0


def test_ends_are_truthful_though_scrapy_exits_with_0(server: Server, project: Project, site: Site) -> None:
    project.deploy()
    with refused_port() as port:
        refused = project.run("shop", params={"site": f"http://127.0.0.1:{port}"})
    assert end_of(refused) == ("error", "network", 0), refused
    raised = project.run("broken", params={"site": site.url("")})
    assert end_of(raised) == ("error", "spider", 0), raised
    assert "no price" in raised["reason"]
    healthy = project.run("shop", params={"site": site.url("")})
    assert (healthy["state"], healthy["reason"]) == ("finished", None)


def test_a_cancel_lets_scrapy_write_what_it_must_do_next_time(
    server: Server, project: Project, site: Site, tmp_path: Path
) -> None:
    project.deploy()
    jobs = tmp_path / "jobs"
    params = {"site": site.url(""), "pages": "slow,1,2,3"}
    task_id = server.submit("slow", params=params, settings={"JOBDIR": str(jobs)})
    wait_for(site.slow_asked.is_set, "the first page to be asked for")
    server.call("POST", f"/tasks/{task_id}/cancel", {})
    site.release()
    task = server.wait(task_id, seconds=60)
    assert (task["state"], task["signal"]) == ("cancelled", None), task
    assert task["exit_code"] == 0  # it has ended by itself
    assert list(jobs.glob("requests.queue/*")), "the requests that are left"
    site.paths.clear()
    again = project.run("slow", params=params, settings={"JOBDIR": str(jobs)})
    assert again["state"] == "finished"
    assert {"/1", "/2", "/3"} <= set(site.paths) and "/slow" not in site.paths


def test_what_is_wrong_with_a_project_is_in_the_log_of_its_listing(server: Server, project: Project) -> None:
    project.write("shop/spiders.py", "import nothing_of_that_name\n")
    first = project.post()
    assert first["spiders"] == []
    failed = server.wait(first["listing"], seconds=60)
    assert (failed["state"], failed["error_class"]) == ("error", "spider")
    assert b"nothing_of_that_name" in server.log(first["listing"], "stderr")
    project.write("shop/spiders.py", SPIDERS)
    assert project.deploy()["spiders"] == ["broken", "shop", "slow"]


def test_a_table_of_a_spider_that_is_not_there_is_said(server: Server, project: Project) -> None:
    project.write("spider.toml", TOML + "[spiders.shopp]\npriority = 1\n")
    failed = server.wait(project.post()["listing"], seconds=60)
    assert failed["state"] == "error"
    assert b"[spiders.shopp]" in server.log(failed["id"], "stderr")


def test_an_engine_killed_during_a_listing_knows_the_spiders_afterwards(
    server: Server, project: Project, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    waits = f"import os, time\nwhile not os.path.exists({str(gate)!r}):\n    time.sleep(0.01)\n"
    project.write("shop/spiders.py", waits + SPIDERS)
    version = project.post()
    server.wait(version["listing"], "running")
    server.kill()
    gate.touch()
    server.start()
    wait_for(lambda: len(server.call("GET", "/spiders")["spiders"]) == 3, "the spiders to be taken over")
    assert project.post()["listing"] is None
    assert listings(server) == 1
