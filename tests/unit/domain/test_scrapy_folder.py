"""Scrapy projects: which spiders are known from spider.toml alone, and what the listed ones become."""

from __future__ import annotations

import pytest

from silkmill.domain.errors import BadInput
from silkmill.domain.scrapy import LISTER
from silkmill.domain.scrapy_folder import listed_spiders, parse_scrapy_folder
from silkmill.domain.spider import SpiderConfig, check_settings, render_command, resolve_params

FILE = "spider.toml"
DEFAULTS = """
project = "press"
priority = 3
[env]
SITE = "example.com"
[limits]
items = 100
prepare = "2h"
[placement]
mode = "all"
labels = {zone = "eu"}
[spiders.news]
limits.items = 5
"""


def listed(text: str, **names: str) -> dict[str, SpiderConfig]:
    return listed_spiders(text, file=FILE, listed=names)


def test_without_a_spider_toml_all_are_asked_for() -> None:
    folder = parse_scrapy_folder("", file=FILE)
    assert folder.spiders == {}
    assert folder.lister is not None
    assert folder.lister.command == ("python", "-m", "silkmill.sdk.scrapy.listing")


def test_a_name_makes_it_the_only_one() -> None:
    folder = parse_scrapy_folder('name = "news"', file=FILE)
    assert folder.lister is None
    assert folder.spiders["news"].command == ("scrapy", "crawl", "news")
    assert folder.spiders["news"].scrapy


def test_a_command_of_its_own_is_kept() -> None:
    folder = parse_scrapy_folder('name = "news"\ncommand = "python main.py"', file=FILE)
    assert folder.spiders["news"].command == ("python", "main.py")
    assert not folder.spiders["news"].scrapy


def test_the_lister_runs_where_the_defaults_say_but_not_as_long_nor_everywhere() -> None:
    lister = parse_scrapy_folder(DEFAULTS, file=FILE).lister
    assert lister is not None
    assert (lister.name, lister.project, lister.env) == (LISTER, "press", {"SITE": "example.com"})
    assert (lister.limits.items, lister.limits.prepare_seconds) == (10_000, 7200.0)
    assert lister.ipc == "strict"  # what the project prints when it is imported names no spider
    assert (lister.placement.mode, dict(lister.placement.labels)) == ("random", {"zone": "eu"})
    assert lister.command[-1:] == ("news",)  # which Scrapy must know


def test_listed_spiders_have_the_defaults_and_their_own() -> None:
    spiders = listed(DEFAULTS, news="News", blog="blog")
    assert {name: config.limits.items for name, config in spiders.items()} == {"news": 5, "blog": 100}
    assert spiders["news"].command == ("scrapy", "crawl", "News")
    assert {config.project for config in spiders.values()} == {"press"}


def test_a_brace_in_a_name_is_no_place() -> None:
    assert render_command(listed("", x="{x}")["x"], {}) == ("scrapy", "crawl", "{x}")


@pytest.mark.parametrize("name", ["--pdb", "-sLOG_FILE=x", "-", "a\0b"])
def test_a_name_that_is_an_option_to_scrapy_is_refused(name: str) -> None:
    with pytest.raises(BadInput) as refusal:
        listed("", x=name)
    assert refusal.value.field == "name"


def test_a_table_with_a_command_is_a_spider_that_scrapy_need_not_know() -> None:
    text = '[spiders.report]\ncommand = "python report.py"'
    folder = parse_scrapy_folder(text, file=FILE)
    assert folder.lister is not None
    assert folder.lister.command == ("python", "-m", "silkmill.sdk.scrapy.listing")
    spiders = listed(text, news="news")
    assert {name: config.scrapy for name, config in spiders.items()} == {"report": False, "news": True}


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("priority = 99", "priority"),
        ("[spiders.news]\npriority = 99", "spiders.news.priority"),
        ("[spiders.NEWS]\npriority = 1", "spiders.NEWS"),
        ('name = "news"\n[spiders.news]', "name"),
        ("[spiders.news]\nproject = 'x'", "spiders.news.project"),
        ("[spiders.news]\ncommand = ''", "spiders.news.command"),
        ("command = 'scrapy crawl news'", "command"),
        ("[spiders.scrapy-list]\ncommand = 'true'", "name"),
        ("x = ", FILE),
    ],
)
def test_what_is_wrong_is_said_before_scrapy_is_asked(text: str, field: str) -> None:
    with pytest.raises(BadInput) as refusal:
        parse_scrapy_folder(text, file=FILE)
    assert refusal.value.field == field


def test_the_name_of_the_lister_is_taken() -> None:
    with pytest.raises(BadInput, match=LISTER):
        listed_spiders("", file=FILE, listed={LISTER: LISTER})


class TestArguments:
    config = listed('[params.day]\ndefault = "today"\nchoices = ["today", "monday"]', news="news")["news"]

    def rendered(self, params: dict[str, object], settings: dict[str, str] | None = None) -> tuple[str, ...]:
        return render_command(self.config, resolve_params(self.config, params), settings)[3:]

    def test_parameters_are_arguments_declared_or_not(self) -> None:
        assert self.rendered({"q": "a b=c"}) == ("-a", "day=today", "-a", "q=a b=c")
        assert self.rendered({"depth": 3, "day": "monday"}) == ("-a", "day=monday", "-a", "depth=3")

    def test_declared_ones_are_checked(self) -> None:
        with pytest.raises(BadInput, match="is not a choice"):
            self.rendered({"day": "someday"})

    def test_what_the_command_names_is_no_argument_too(self) -> None:
        text = 'name = "n"\ncommand = "scrapy crawl n -a day={day}"\n[params]\nday = "x"'
        config = parse_scrapy_folder(text, file=FILE).spiders["n"]
        assert render_command(config, resolve_params(config, {"q": "1"}))[3:] == ("-a", "day=x", "-a", "q=1")

    def test_settings(self) -> None:
        assert self.rendered({}, {"LOG_LEVEL": "INFO", "X": "a=b"})[2:] == (
            "-s",
            "LOG_LEVEL=INFO",
            "-s",
            "X=a=b",
        )

    @pytest.mark.parametrize("name", ["", "a=b", "a\nb", "-s", "--pdb"])
    def test_names_that_scrapy_could_not_tell_apart(self, name: str) -> None:
        with pytest.raises(BadInput) as refusal:
            self.rendered({name: "x"})
        assert refusal.value.field == f"params.{name}"
        with pytest.raises(BadInput) as refusal:
            check_settings(self.config, {name: "x"})
        assert refusal.value.field == f"settings.{name}"

    def test_a_nul_byte_is_refused_declared_or_not(self) -> None:
        for name in ("day", "q"):
            config = listed("[params]\nday = 'x'", news="news")["news"]
            with pytest.raises(BadInput, match="NUL") as refusal:
                render_command(config, resolve_params(config, {name: "a\0b"}))
            assert refusal.value.field == f"params.{name}"

    def test_a_declared_name_must_be_an_argument_too(self) -> None:
        with pytest.raises(BadInput) as refusal:
            listed("[params]\n-s = 'LOG_FILE=x'", news="news")
        assert refusal.value.field == "params.-s"

    def test_others_take_no_settings(self) -> None:
        with pytest.raises(BadInput, match="takes no settings") as refusal:
            check_settings(SpiderConfig(name="x"), {"A": "b"})
        assert refusal.value.field == "settings"
