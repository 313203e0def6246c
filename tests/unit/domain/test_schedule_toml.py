"""[[schedules]] of spider.toml: what is read, and every wrong value refused with file, key and remedy."""

from __future__ import annotations

import pytest

from silkmill.domain.errors import BadInput
from silkmill.domain.schedule import CatchUp, Overlap, ScheduleConfig
from silkmill.domain.spider_toml import parse_spider_toml

SPIDER = 'name = "news"\ncommand = "run {day}"\n[params.day]\nrequired = true\nchoices = ["a", "b"]\n'
ONE = '[[schedules]]\nname = "nightly"\ncron = "30 1 * * *"\nparams = {day = "a"}\n'


def parse(text: str) -> tuple[ScheduleConfig, ...]:
    return parse_spider_toml(text, file="spider.toml")["news"].schedules


def test_a_spider_needs_none() -> None:
    assert parse('name = "news"\ncommand = "run"\n') == ()


def test_defaults() -> None:
    assert parse(SPIDER + ONE) == (ScheduleConfig("nightly", "30 1 * * *", params={"day": "a"}),)


def test_every_key() -> None:
    second = (
        '[[schedules]]\nname = "x"\ncron = "@daily"\ntimezone = "Europe/Berlin"\noverlap = "replace"\n'
        'catchup = "all"\nenabled = false\n[schedules.params]\nday = "b"\n'
    )
    assert parse(SPIDER + ONE + second)[1] == ScheduleConfig(
        name="x",
        cron="@daily",
        timezone="Europe/Berlin",
        overlap=Overlap.REPLACE,
        catchup=CatchUp.ALL,
        enabled=False,
        params={"day": "b"},
    )


@pytest.mark.parametrize(
    ("wrong", "field", "remedy"),
    [
        ('cron = "@daily"\nparams = {day = "a"}', "schedules[1].name", "add name"),
        ('name = "x"\nparams = {day = "a"}', "schedules[1].cron", "add cron"),
        ('name = "x"\ncron = "61 * * * *"\nparams = {day = "a"}', "schedules[1].cron", "MINUTE HOUR"),
        ('name = "x"\ncron = 5', "schedules[1].cron", "a string"),
        ('name = "x"\ncron = "@daily"\ntimezone = "Europe/Berln"', "schedules[1].timezone", "Europe/Berlin"),
        ('name = "x"\ncron = "@daily"\noverlap = "kill"', "schedules[1].overlap", "skip, queue, replace"),
        ('name = "x"\ncron = "@daily"\ncatchup = "some"', "schedules[1].catchup", "none, last, all"),
        ('name = "x"\ncron = "@daily"\nenabled = 1', "schedules[1].enabled", "true or false"),
        ('name = "x"\ncron = "@daily"\nparams = ["a"]', "schedules[1].params", "a table"),
        ('name = "x"\ncron = "@daily"', "schedules[1].params.day", "day"),
        ('name = "x"\ncron = "@daily"\nparams = {day = "c"}', "schedules[1].params.day", "a, b"),
        ('name = "x"\ncron = "@daily"\nparams = {day = "a", no = 1}', "schedules[1].params.no", "declare"),
        ('name = "X Y"\ncron = "@daily"\nparams = {day = "a"}', "schedules[1].name", "a-z"),
        ('name = "nightly"\ncron = "@daily"\nparams = {day = "a"}', "schedules[1].name", "choose another"),
        ('name = "x"\ncorn = "@daily"', "schedules[1].corn", "did you mean 'cron'?"),
    ],
)
def test_a_wrong_value_is_refused_with_a_remedy(wrong: str, field: str, remedy: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse(SPIDER + ONE + "[[schedules]]\n" + wrong)
    assert refused.value.field == field
    assert remedy in (refused.value.remedy or "")
    assert str(refused.value).startswith(f"spider.toml: {field} ")


@pytest.mark.parametrize("line", ["schedules = 1", 'schedules = ["x"]', "[schedules]\nname = 'x'"])
def test_what_is_no_list_of_tables_is_refused(line: str) -> None:
    with pytest.raises(BadInput, match=r"schedules .*\[\[schedules\]\]"):
        parse(f'name = "news"\ncommand = "run"\n{line}\n')


def test_several_spiders_have_those_of_the_folder_or_their_own() -> None:
    text = (
        'command = "run"\n[[schedules]]\nname = "nightly"\ncron = "@daily"\n[spiders.news]\n'
        '[[spiders.shop.schedules]]\nname = "often"\ncron = "@hourly"\n'
    )
    spiders = parse_spider_toml(text, file="spider.toml")
    names = {name: [schedule.name for schedule in spider.schedules] for name, spider in spiders.items()}
    assert names == {"news": ["nightly"], "shop": ["often"]}


def test_a_wrong_one_of_a_spider_is_named_where_it_stands() -> None:
    text = 'command = "run"\n[[spiders.shop.schedules]]\nname = "often"\ncron = "never"\n'
    with pytest.raises(BadInput) as refused:
        parse_spider_toml(text, file="spider.toml")
    assert refused.value.field == "spiders.shop.schedules[0].cron"
