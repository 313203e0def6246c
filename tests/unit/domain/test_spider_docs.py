"""docs/spider.md: its keys are those of the parser, its variables are those of a spider."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from silkmill.domain import spider_toml as toml
from silkmill.domain.attempt import AttemptRef
from silkmill.domain.environment import Kind
from silkmill.domain.errors import BadInput
from silkmill.domain.schedule_toml import SCHEDULE_KEYS
from silkmill.domain.spider import SpiderConfig
from silkmill.domain.version import FileEntry
from silkmill.ports.link import WorkOrder
from silkmill.worker.environments.folder import Environment
from silkmill.worker.prepare.environment import environment_of

PAGE = (Path(__file__).parents[3] / "docs" / "spider.md").read_text()
TABLES = {
    "params": toml.PARAM_KEYS,
    "limits": toml.LIMITS_KEYS,
    "retry": toml.RETRY_KEYS,
    "outcome": toml.OUTCOME_KEYS,
    "placement": toml.PLACEMENT_KEYS,
    "files": toml.FILES_KEYS,
    "ipc_stdin": ["mode"],
    "schedules": SCHEDULE_KEYS,
}


def rows(pattern: str) -> list[str]:
    """The first cells of all tables that match."""
    return re.findall(rf"^\| `({pattern})` \|", PAGE, re.MULTILINE)


def test_every_key_is_documented() -> None:
    nested = [f"{table}.{key}" for table, keys in TABLES.items() for key in keys]
    assert sorted(rows(r"[a-z_.]+")) == sorted([*toml.TOP_KEYS, *nested])


def test_the_example_is_read() -> None:
    one, several = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert toml.parse_spider_toml(one, file="docs")["shop"].params["day"].default == "today"
    spiders = toml.parse_spider_toml(several, file="docs")
    assert {name: config.limits.runtime_seconds for name, config in spiders.items()} == {
        "news": 7200,
        "archive": 86400,
    }


def test_the_keys_of_the_folder_are_marked() -> None:
    marked = re.findall(r"^\| `([a-z_]+)` \|.*of the folder.* \|$", PAGE, re.MULTILINE)
    assert sorted(marked) == sorted(toml.FOLDER_KEYS)


LATER = {
    "limits.memory": 'limits = {memory = "1GiB"}',
    "limits.cpu": "limits = {cpu = 1.0}",
    "limits.processes": "limits = {processes = 1}",
}


def test_what_comes_later_is_marked() -> None:
    assert re.findall(r"^\| `([a-z_.]+)` \|.*\*later\* \|$", PAGE, re.MULTILINE) == list(LATER)


@pytest.mark.parametrize("key", LATER)
def test_what_comes_later_is_refused(key: str) -> None:
    with pytest.raises(BadInput, match=key):
        toml.parse_spider_toml(f'name = "x"\ncommand = "true"\n{LATER[key]}\n', file="docs")


def test_every_variable_is_documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "LANG", "TZ", "TMPDIR"):
        monkeypatch.setenv(name, "x")
    venv = Environment("requirements-0", Kind.REQUIREMENTS, tmp_path)
    given = environment(tmp_path, "small", venv) | environment(tmp_path, "large" * 50_000)
    assert sorted(rows(r"[A-Z_]+")) == sorted(given)
    assert given["SCRAPY_SETTINGS_MODULE"] == "silkmill.sdk.scrapy.settings"
    assert given["SILKMILL_SCRAPY_SETTINGS"] == "shop.settings"


def environment(directory: Path, text: str, *environments: Environment) -> dict[str, str]:
    order = WorkOrder(
        ref=AttemptRef("task", 1),
        project="default",
        spider="x",
        version="v",
        config=SpiderConfig("x"),
        files=(FileEntry("scrapy.cfg", "0", 0),),
        argv=("true",),
        params={"text": text},
        env={"SCRAPY_SETTINGS_MODULE": "shop.settings"},
    )
    return environment_of(
        order,
        node="n",
        nonce="0",
        runner_pid=1,
        sdk=directory / "sdk",
        directory=directory,
        environments=environments,
    )
