"""`silkmill schedules`: each command against a running server, and what reads without one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Cli


@pytest.fixture(scope="module")
def deployed(up: Cli, folder: Path) -> Cli:
    assert up("deploy", str(folder)).code == 0
    return up


@pytest.fixture
def nightly(deployed: Cli) -> Iterator[Cli]:
    """With a schedule hello/nightly."""
    added = deployed("schedules", "add", "hello/nightly", "30 1 * * *", "--timezone", "Europe/Berlin")
    assert added.code == 0, added.err
    yield deployed
    deployed("schedules", "remove", "hello/nightly")


def test_add_takes_everything_and_show_tells_it(deployed: Cli) -> None:
    options = ["--overlap", "queue", "--catchup", "all", "-a", "count=1", "--disabled", "--json"]
    added = deployed("schedules", "add", "default/hello/full", "@hourly", *options)
    assert added.code == 0, added.err
    shown = deployed("schedules", "show", "hello/full", "--json").json
    assert shown == added.json
    assert (shown["overlap"], shown["catchup"], shown["enabled"]) == ("queue", "all", False)
    assert (shown["params"], shown["next_firing"]) == ({"count": "1"}, None)
    assert b"queue" in deployed("schedules", "show", "hello/full").out
    assert deployed("schedules", "remove", "hello/full").code == 0


def test_list_is_a_table_or_lines(nightly: Cli) -> None:
    head, row = nightly("schedules", "list").out.decode().splitlines()
    assert head.split() == ["SCHEDULE", "CRON", "ZONE", "NEXT", "LAST", "STATE"]
    assert row.startswith("hello/nightly  30 1 * * *  Europe/Berlin  20")
    [line] = nightly("schedules", "list", "--json").out.splitlines()
    assert json.loads(line)["name"] == "nightly"


def test_disable_and_enable(nightly: Cli) -> None:
    assert "disabled" in nightly("schedules", "disable", "hello/nightly").err
    assert b"disabled" in nightly("schedules", "list").out
    assert nightly("schedules", "enable", "hello/nightly", "--json").json["enabled"] is True


def test_run_prints_the_id_of_a_task(nightly: Cli) -> None:
    task_id = nightly("schedules", "run", "hello/nightly").out.decode().strip()
    assert nightly("wait", task_id).code == 0
    shown = nightly("show", task_id, "--json").json
    assert (shown["schedule"], shown["firing"]) == ("default/hello/nightly", None)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("add", "hello/nightly", "@daily"), 2, "exists already"),
        (("add", "hello/x", "61 * * * *"), 2, "MINUTE HOUR DAY MONTH WEEKDAY"),
        (("add", "hello/x", "@daily", "--timezone", "Europe/Berln"), 2, "Europe/Berlin"),
        (("add", "hello/x", "@daily", "--overlap", "kill"), 2, "skip"),
        (("add", "hello/x", "@daily", "-a", "nothing=1"), 2, "nothing"),
        (("add", "nobody/x", "@daily"), 4, "deploy"),
        (("show", "hello"), 2, "SPIDER/NAME"),
        (("show", "hello/nothing"), 4, "schedules list"),
        (("remove", "hello/nothing"), 4, "schedules list"),
        (("shwo", "hello/nothing"), 2, "show"),
    ],
)
def test_what_cannot_be_done_says_why(nightly: Cli, arguments: tuple[str, ...], code: int, said: str) -> None:
    result = nightly("schedules", *arguments)
    assert (result.code, result.out) == (code, b"")
    assert said in result.err


def test_without_a_server_they_are_read_and_not_written(alone: Cli, folder: Path) -> None:
    text = (folder / "spider.toml").read_text()
    own = alone.data.parent / "timed"
    own.mkdir()
    (own / "main.py").write_text("")
    (own / "spider.toml").write_text(
        text.replace('"hello"', '"timed"') + '[[schedules]]\nname = "daily"\ncron = "@daily"\n'
    )
    assert alone("schedules", "list").code == 0  # nothing was run here yet
    assert alone("run", str(own), "-a", "count=0", "-a", "seconds=0").code == 0
    assert alone("schedules", "list", "--json").json["origin"] == "file"
    assert alone("schedules", "show", "timed/daily", "--json").json["cron"] == "@daily"
    assert alone("schedules", "disable", "timed/daily").code == 5
