"""spider.toml: every key of it, and every way to get it wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from silkmill.domain.errors import BadInput
from silkmill.domain.outcome import Rules
from silkmill.domain.placement import Placement
from silkmill.domain.retry import RetryPolicy
from silkmill.domain.spider import Limits, Param, SpiderConfig
from silkmill.domain.spider_toml import parse_spider_toml
from silkmill.domain.units import duration_seconds, size_bytes

SMALL = 'name = "news"\ncommand = "python main.py"\n'
FULL = """
project = "shop"
name = "news"
command = "python main.py --day {day}"
priority = 2
tags = ["daily", "eu"]
ipc = "strict"
on_disconnect = "keep"
max_concurrency = 0
[params.day]
type = "str"
default = "today"
choices = ["today", "yesterday"]
help = "which day"
[params.pages]
type = "int"
required = true
[env]
LANG = "de_DE.UTF-8"
[limits]
runtime = "2h"
stall = "90s"
log = "512MiB"
items = 1000
prepare = "10m"
grace = "5s"
memory = "0B"
cpu = 0.0
processes = 0
[retry]
max_attempts = 5
on = ["network", "spider"]
backoff = "1s"
backoff_max = "1m"
[outcome]
min_items = 1
max_error_ratio = 0.5
ok_exit_codes = [0, 4]
[placement]
mode = "random"
nodes = []
labels = {}
[files]
include = ["*.py"]
ignore = ["*.tmp"]
[ipc_stdin]
mode = "null"
"""


def parse(text: str) -> SpiderConfig:
    """The only spider of a text."""
    [spider] = parse_all(text).values()
    return spider


def parse_all(text: str) -> dict[str, SpiderConfig]:
    spiders = parse_spider_toml(text, file="spider.toml")
    assert all(config.name == name for name, config in spiders.items())
    return spiders


def refusal(text: str) -> BadInput:
    with pytest.raises(BadInput) as refused:
        parse(text)
    assert "spider.toml" in str(refused.value) or refused.value.field in ("name", "project", "command")
    assert refused.value.remedy
    return refused.value


def test_every_key() -> None:
    assert parse(FULL) == SpiderConfig(
        name="news",
        project="shop",
        command=("python", "main.py", "--day", "{day}"),
        priority=2,
        tags=("daily", "eu"),
        ipc="strict",
        stdin="null",
        params={
            "day": Param("str", "today", choices=("today", "yesterday"), help="which day"),
            "pages": Param("int", required=True),
        },
        env={"LANG": "de_DE.UTF-8"},
        limits=Limits(7200, 90, 512 * 1024**2, 1000, 600, 5),
        retry=RetryPolicy(5, ("network", "spider"), 1, 60),
        outcome=Rules(1, 0.5, (0, 4)),
        include=("*.py",),
        ignore=("*.tmp",),
    )


def test_name_and_command_suffice() -> None:
    assert parse(SMALL) == SpiderConfig(name="news", command=("python", "main.py"))


def test_a_command_may_be_a_list() -> None:
    assert parse('name = "news"\ncommand = ["sh", "-c", "echo {{x}}"]').command == ("sh", "-c", "echo {{x}}")


@pytest.mark.parametrize(
    ("value", "param"),
    [
        ('"today"', Param("str", "today")),
        ("3", Param("int", 3)),
        ("0.5", Param("float", 0.5)),
        ("true", Param("bool", True)),
    ],
)
def test_the_short_form_of_a_parameter(value: str, param: Param) -> None:
    assert parse(f"{SMALL}[params]\nday = {value}").params == {"day": param}


@pytest.mark.parametrize(
    ("line", "key", "nearest"),
    [
        ("comand = 'x'", "comand", "command"),
        ("[limit]\nruntime = '1s'", "limit", "limits"),
        ("[limits]\nruntme = '1s'", "limits.runtme", "runtime"),
        ("[retry]\nmax_attempt = 1", "retry.max_attempt", "max_attempts"),
        ("[params.day]\ndefalt = 'x'", "params.day.defalt", "default"),
        ("[placement]\nmod = 'random'", "placement.mod", "mode"),
        ("[outcome]\nmin_item = 1", "outcome.min_item", "min_items"),
        ("[files]\nincludes = []", "files.includes", "include"),
        ("[ipc_stdin]\nmod = 'null'", "ipc_stdin.mod", "mode"),
    ],
)
def test_an_unknown_key_names_the_nearest_known_one(line: str, key: str, nearest: str) -> None:
    refused = refusal(SMALL + line)
    assert refused.field == key
    assert f"{key} is not a known key" in refused.detail
    assert refused.remedy == f"did you mean {nearest!r}?"


@pytest.mark.parametrize(
    "text",
    [
        "command = 'x'",
        'name = "News"\ncommand = "x"',
        'name = "news"',
        'name = "news"\ncommand = ""',
        'name = "news"\ncommand = []',
        'name = "news"\ncommand = [1]',
        'name = "news"\ncommand = ["x", "a\\u0000b"]',
        'name = "news"\ncommand = "x \'"',
        'name = 5\ncommand = "x"',
        SMALL + 'project = "a/b"',
        SMALL + "priority = 0",
        SMALL + "priority = 11",
        SMALL + "priority = true",
        SMALL + 'priority = "5"',
        SMALL + 'tags = "daily"',
        SMALL + "tags = [1]",
        SMALL + 'ipc = "closed"',
        SMALL + "params = 5",
        SMALL + "[params]\nday = [1]",
        SMALL + '[params.day]\ntype = "date"',
        SMALL + '[params.n]\ntype = "int"\ndefault = "x"',
        SMALL + '[params.n]\ntype = "int"\nchoices = ["x"]',
        SMALL + "[params.n]\nchoices = 5",
        SMALL + '[params.n]\nchoices = ["a", "b"]\ndefault = "c"',
        SMALL + "[params]\nn = nan",
        'name = "news"\ncommand = "python main.py --day {day}"\n[params]\ndays = "3"',
        SMALL + '[params.n]\nrequired = "yes"',
        SMALL + "[env]\nA = 1",
        SMALL + '[env]\nSILKMILL_TASK_ID = "x"',
        SMALL + '[env]\n"A=B" = "x"',
        SMALL + "[limits]\nruntime = 90",
        SMALL + '[limits]\nruntime = "90"',
        SMALL + '[limits]\nruntime = "-1s"',
        SMALL + '[limits]\nruntime = "1 week"',
        SMALL + '[limits]\nlog = "1G"',
        SMALL + "[limits]\nitems = -1",
        SMALL + "[retry]\nmax_attempts = 0",
        SMALL + '[retry]\non = ["all"]',
        SMALL + '[retry]\non = ["cancelled"]',
        SMALL + "[outcome]\nmax_error_ratio = 2",
        SMALL + '[outcome]\nok_exit_codes = ["0"]',
        SMALL + "[outcome]\nok_exit_codes = [256]",
        SMALL + "[files]\ninclude = 5",
        SMALL + '[ipc_stdin]\nmode = "closed"',
        SMALL + "name = 'twice'",
        "this is not toml",
        SMALL + "priority = " + "9" * 5000,
        SMALL + "tags = " + "[" * 5000,
        SMALL + 'tags = ["daily", ""]',
        SMALL + 'tags = ["daily "]',
        SMALL + "[limits]\nitems = 9223372036854775808",
        SMALL + '[limits]\nlog = "8388608TiB"',
        SMALL + '[limits]\nprepare = "3651d"',
        SMALL + '[retry]\nbackoff = "999999999999d"\nbackoff_max = "999999999999d"',
        SMALL + '\n[placement]\nmode = "some"',
    ],
)
def test_a_wrong_value_is_refused_with_a_remedy(text: str) -> None:
    refusal(text)


def test_where_and_how_many_at_once() -> None:
    text = (
        'on_disconnect = "wait"\nreplace_after = "90m"\nmax_concurrency = 3\n'
        '[placement]\nmode = "nodes"\nnodes = ["b", "a", "b"]\nlabels = {gpu = "1"}'
    )
    config = parse(SMALL + text)
    assert (config.on_disconnect, config.replace_after_seconds, config.max_concurrency) == ("wait", 5400.0, 3)
    assert config.placement == Placement("nodes", ("a", "b"), {"gpu": "1"})


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("max_concurrency = -1", "max_concurrency"),
        ('on_disconnect = "fly"', "on_disconnect"),
        ('on_disconnect = "stop"\n[limits]\ngrace = "31s"', "on_disconnect"),
        ('replace_after = "25h"', "replace_after"),
        ('[placement]\nmode = "nodes"', "placement.nodes"),
        ('[placement]\nnodes = ["a"]', "placement.nodes"),
        ("[placement]\nlabels = {gpu = 1}", "placement.labels.gpu"),
        ('[placement]\nlabels = {gpu = ""}', "placement.labels"),
    ],
)
def test_a_placement_that_makes_no_sense_is_refused(line: str, field: str) -> None:
    assert refusal(SMALL + line).field == field


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ('[limits]\nmemory = "512MiB"', "limits.memory"),
        ("[limits]\ncpu = 1.5", "limits.cpu"),
        ("[limits]\nprocesses = 10", "limits.processes"),
    ],
)
def test_a_key_that_this_version_does_not_honour_is_refused_not_ignored(line: str, field: str) -> None:
    assert refusal(SMALL + line).field == field


SEVERAL = """
project = "shop"
command = "python main.py {day}"
tags = ["all"]
[params]
pages = 3
[params.day]
choices = ["today", "yesterday"]
default = "today"
[limits]
runtime = "1h"
items = 10
[env]
A = "top"
B = "top"
[files]
ignore = ["*.tmp"]
[spiders.news]
[spiders.olds]
command = ["./olds"]
tags = []
params.pages = 5
params.extra = true
params.day.default = "yesterday"
limits.runtime = "2h"
env.B = "own"
"""


class TestSeveralSpiders:
    def test_each_table_is_a_spider_over_the_defaults(self) -> None:
        spiders = parse_all(SEVERAL)
        assert list(spiders) == ["news", "olds"]
        assert spiders["news"] == SpiderConfig(
            name="news",
            project="shop",
            command=("python", "main.py", "{day}"),
            tags=("all",),
            params={"pages": Param("int", 3), "day": Param(default="today", choices=("today", "yesterday"))},
            env={"A": "top", "B": "top"},
            limits=Limits(runtime_seconds=3600, items=10),
            ignore=("*.tmp",),
        )
        assert spiders["olds"] == replace(
            spiders["news"],
            name="olds",
            command=("./olds",),
            tags=(),
            params={
                "pages": Param("int", 5),
                "day": Param(default="yesterday", choices=("today", "yesterday")),
                "extra": Param("bool", True),
            },
            env={"A": "top", "B": "own"},
            limits=Limits(runtime_seconds=7200, items=10),
        )

    def test_a_short_parameter_replaces_a_table_and_a_table_a_short_one(self) -> None:
        text = "[params]\nb = 1\n[params.a]\nrequired = true\n[spiders.x.params]\na = 2\nb = {type = 'str'}"
        params = parse("command = 'true'\n" + text).params
        assert params == {"a": Param("int", 2), "b": Param("str")}

    @pytest.mark.parametrize(
        ("own", "field"),
        [
            ("limits.runtime = 5", "spiders.x.limits.runtime"),
            ("limits = 5", "spiders.x.limits"),
            ("limits.runtme = '1s'", "spiders.x.limits.runtme"),
            ("limits.memory = '1GiB'", "spiders.x.limits.memory"),
            ("params.day.type = 'date'", "spiders.x.params.day.type"),
            ("params.day.typ = 'int'", "spiders.x.params.day.typ"),
            ("env.CRAWLAB_X = 'x'", "spiders.x.env.CRAWLAB_X"),
            ("tags = ['']", "spiders.x.tags"),
            ("command = ''", "spiders.x.command"),
            ("command = 'x {other}'", "spiders.x.command"),
            ("comand = 'x'", "spiders.x.comand"),
            ("max_concurrency = -1", "spiders.x.max_concurrency"),
            ("retry.on = ['all']", "spiders.x.retry.on"),
            ("project = 'other'", "spiders.x.project"),
            ("name = 'other'", "spiders.x.name"),
            ("files.ignore = []", "spiders.x.files"),
            ("spiders.y = {}", "spiders.x.spiders"),
        ],
    )
    def test_an_error_names_the_key_of_the_spider(self, own: str, field: str) -> None:
        refused = refusal(f"command = 'x {{day}}'\n[params.day]\ndefault = 'today'\n[spiders.x]\n{own}\n")
        assert refused.field == field
        assert f"spider.toml: {field} " in refused.detail

    @pytest.mark.parametrize(
        ("top", "field"),
        [
            ("limits.runtime = 5", "limits.runtime"),
            ("limits.cpu = 1.0", "limits.cpu"),
            ("name = 'x'", "name"),
            ("priority = 0", "priority"),
            ("project = 'A'", "project"),
            ("command = ''", "command"),
            ("command = 'x {day}'", "command"),
            ("params.day.typ = 'int'", "params.day.typ"),
            ("placement.mode = 'nodes'", "placement.nodes"),
        ],
    )
    def test_a_wrong_default_is_named_where_it_is_written(self, top: str, field: str) -> None:
        command = "" if "command" in top else "command = 'true'\n"
        own = "params.day.help = 'x'\n" if "params" in top else ""
        assert refusal(f"{top}\n{command}[spiders.x]\n{own}").field == field

    def test_defaults_need_not_be_whole(self) -> None:
        text = "command = 'true'\nplacement.mode = 'nodes'\n[spiders.x]\nplacement.nodes = ['a']\n"
        assert parse(text).placement == Placement("nodes", ("a",), {})

    @pytest.mark.parametrize(
        ("text", "field"),
        [
            ("[spiders.News]\ncommand = 'true'", "spiders.News"),
            ("[spiders]\nnews = 5", "spiders.news"),
            ("spiders = ['news']", "spiders"),
            ("[spiders.news]", "spiders.news.command"),
            ("[spiders]", "name"),
        ],
    )
    def test_what_is_no_spider(self, text: str, field: str) -> None:
        assert refusal(text).field == field


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("2h", 7200), ("1.5h", 5400), ("250ms", 0.25), ("1d", 86400)],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration_seconds(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [("0B", 0), ("512MiB", 512 << 20), ("1GiB", 1 << 30), ("1.5KiB", 1536), ("2MB", 2_000_000)],
)
def test_sizes(text: str, size: int) -> None:
    assert size_bytes(text) == size


@pytest.mark.parametrize("text", ["", "5", "s", "1e3s", "1 fortnight", "-5s", "inf s", "5 s x"])
def test_what_is_not_a_duration(text: str) -> None:
    with pytest.raises(ValueError, match="units"):
        duration_seconds(text)
