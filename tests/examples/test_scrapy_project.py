"""A Scrapy project that knows nothing of Silkmill: its spiders are found, and their ends are true."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from tests.engine.server import Server
from tests.examples.cli import EXAMPLES, Silkmill
from tests.examples.index import need_index
from tests.examples.site import served

PROJECT = EXAMPLES / "scrapy-project"
QUOTES = [
    {"text": "Begin anywhere.", "author": "John Cage", "tags": ["work", "start"]},
    {"text": "Less is more.", "author": "Ludwig Mies", "tags": []},
    {"text": "Make it new.", "author": "Ezra Pound", "tags": ["work"]},
    {"text": "I would prefer not to.", "author": "Bartleby", "tags": ["work", "end"]},
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    need_index(PROJECT)
    with Server(tmp_path_factory.mktemp("scrapy") / "data", max_runners=2) as running:
        yield running


@pytest.fixture(scope="module")
def deployed(server: Server) -> Silkmill:
    """The project is deployed, once for all tests."""
    silkmill = Silkmill(server.data)
    done = silkmill.say("deploy", str(PROJECT))
    assert done.stdout.startswith("v") and "authors, quotes" in done.stderr, done
    return silkmill


def ended(task: dict[str, Any]) -> tuple[Any, ...]:
    return task["state"], task["error_class"]


def test_a_healthy_spider_finishes_with_the_items_of_its_own_pipelines(deployed: Silkmill) -> None:
    with served() as site:
        task = deployed.run("quotes", "-a", f"site={site.address}")
    assert ended(task) == ("finished", None), task
    assert deployed.items() == QUOTES, "tidied, and what was there twice is dropped"
    assert sorted(site.visited) == ["/", "/page/2/", "/page/3/", "/robots.txt"]
    assert "seen before: Begin anywhere." in deployed.log()


def test_the_other_spider_of_the_project(deployed: Silkmill) -> None:
    with served() as site:
        task = deployed.run("authors", "-a", f"site={site.address}")
    assert ended(task) == ("finished", None), task
    authors = {item["author"]: item["text"] for item in deployed.items()}
    assert authors == {name: f"{name} said something." for name in (quote["author"] for quote in QUOTES)}


def test_a_spider_whose_requests_are_all_refused_ends_with_the_network(deployed: Silkmill) -> None:
    with socket.socket() as taken:  # bound, and nobody listens: refused for sure
        taken.bind(("127.0.0.1", 0))
        refusing = f"http://127.0.0.1:{taken.getsockname()[1]}"
        task = deployed.run("quotes", "-a", f"site={refusing}", code=1)
    assert ended(task) == ("error", "network"), task
    assert [attempt["error_class"] for attempt in task["attempts"]] == ["network"] * 2, "tried again"
    assert task["exit_code"] == 0, "Scrapy itself has seen no error"


def test_a_spider_whose_callback_raises_ends_with_the_spider(deployed: Silkmill) -> None:
    with served() as site:
        task = deployed.run("quotes", "-a", f"site={site.address}/nameless", code=1)
    assert ended(task) == ("error", "spider"), task
    assert "AttributeError" in task["reason"]
    assert len(task["attempts"]) == 1, "a bug is not tried again"


def test_what_the_spider_toml_says_holds_for_all_and_for_one(server: Server, deployed: Silkmill) -> None:
    def runtime_of(spider: str) -> float:
        return float(server.call("GET", f"/spiders/default/{spider}")["config"]["limits"]["runtime_seconds"])

    assert (runtime_of("quotes"), runtime_of("authors")) == (600, 1200)
