"""spider.toml: its text, checked key by key, as the SpiderConfig of each of its spiders."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import Any

from silkmill.domain.errors import BadInput
from silkmill.domain.outcome import ErrorClass, Rules
from silkmill.domain.placement import MODES, Placement, checked_placement
from silkmill.domain.retry import RetryPolicy
from silkmill.domain.schedule_toml import parse_schedules
from silkmill.domain.scrapy import check_option, is_crawl
from silkmill.domain.spider import (
    Limits,
    Param,
    SpiderConfig,
    check_name,
    check_tag,
    check_variable,
    convert,
    places,
    split_command,
)
from silkmill.domain.toml_table import MergedTable, TomlTable

TOP_KEYS = [
    *("project", "name", "command", "priority", "tags", "ipc", "on_disconnect", "replace_after"),
    *("max_concurrency", "params", "env", "limits", "retry", "outcome", "placement", "files"),
    *("ipc_stdin", "schedules", "spiders"),
]
FOLDER_KEYS = ["project", "name", "files", "spiders"]
"""They say something about the folder, which its spiders share: no `[spiders.NAME]` has them."""
FILES_KEYS = ["include", "ignore"]
PARAM_KEYS = ["type", "default", "required", "choices", "help"]
LIMITS_KEYS = ["runtime", "stall", "log", "items", "prepare", "grace", "memory", "cpu", "processes"]
RETRY_KEYS = ["max_attempts", "on", "backoff", "backoff_max"]
OUTCOME_KEYS = ["min_items", "max_error_ratio", "ok_exit_codes"]
PLACEMENT_KEYS = ["mode", "nodes", "labels"]
MOST_AT_ONCE = 100_000
LONGEST_STOP_GRACE_SECONDS = 30.0
"""A node that is cut off must have stopped its spiders before its lease ends."""
LONGEST_REPLACE_SECONDS = 24 * 3600.0
PARAM_TYPES = ("str", "int", "float", "bool")


def parse_spider_toml(text: str, *, file: str) -> dict[str, SpiderConfig]:
    """The spiders of a folder by name. Raises BadInput, which names file and key and says what to do.

    With `[spiders.NAME]` tables each is a spider, and the rest of the file holds their defaults."""
    top = read_top(text, file)
    if names := names_of(top):
        return {name: spider_of(table_of(top, name), name) for name in names}
    spider = spider_of(top, single_name(top))
    return {spider.name: spider}


def read_top(text: str, file: str) -> TomlTable:
    """The whole file. Raises BadInput."""
    return TomlTable(_document(text, file), file, "", TOP_KEYS)


def single_name(top: TomlTable) -> str:
    """Of the only spider. Raises BadInput."""
    return _name(top, "name", top.text("name", required=True))


def names_of(top: TomlTable) -> list[str]:
    """Of all that have a table of their own. Raises BadInput."""
    overrides = top.table("spiders", None)
    if overrides.values and "name" in top.values:
        top.refuse("name", "stands beside [spiders.NAME]", "leave it out: each table names its spider")
    return [_name(overrides, name, name) for name in overrides.values]


def table_of(top: TomlTable, name: str) -> TomlTable:
    """What one of several spiders says, its table over the defaults. Raises BadInput."""
    defaults, overrides = top.without("spiders"), top.table("spiders", None)
    own = overrides.table(name, TOP_KEYS)
    for key in FOLDER_KEYS:
        if key in own.values:
            own.refuse(key, "is of the whole folder", "leave it out, or give the spider a folder of its own")
    return MergedTable(defaults, own)


def _document(text: str, file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also a number of 5,000 digits, a thousand brackets
        raise BadInput(f"{file}: {error}", field=file, remedy="correct the TOML syntax") from None


def spider_of(
    table: TomlTable, name: str, command: tuple[str, ...] = (), scrapy: bool = False
) -> SpiderConfig:
    """The spider. `command`: if the table says none; `scrapy`: its folder is a Scrapy project.

    Raises BadInput."""
    config = _config(table, name, _command(table) if "command" in table.values or not command else command)
    for place in sorted(places(config.command) - config.params.keys()):
        table.refuse(
            "command", f"names {{{place}}}", f"declare [params.{place}], or write {{{{ for a literal brace"
        )
    config = replace(config, scrapy=scrapy and is_crawl(config.command))
    if config.scrapy:
        _check_arguments(table, config)
    return replace(config, schedules=parse_schedules(table, config))


def _check_arguments(table: TomlTable, config: SpiderConfig) -> None:
    """Of `scrapy crawl`: the parameters that stand nowhere in the command."""
    for name in sorted(config.params.keys() - places(config.command)):
        try:
            check_option(name, "", "params")
        except BadInput as refusal:
            table.table("params", None).refuse(
                name, "is no argument of Scrapy", refusal.remedy or "rename it"
            )


def _config(table: TomlTable, name: str, command: tuple[str, ...]) -> SpiderConfig:
    return SpiderConfig(
        name=name,
        project=_name(table, "project", table.text("project", "default")),
        command=command,
        priority=table.whole("priority", 5, lowest=1, highest=10),
        tags=_tags(table),
        ipc=table.choice("ipc", ("open", "strict")),
        stdin=table.table("ipc_stdin", ["mode"]).choice("mode", ("open", "null")),
        params=_params(table),
        env=_env(table),
        limits=_limits(table),
        retry=_retry(table),
        outcome=_outcome(table),
        include=table.table("files", FILES_KEYS).texts("include", ("**",)),
        ignore=table.table("files", FILES_KEYS).texts("ignore", ()),
        placement=_placement(table),
        max_concurrency=table.whole("max_concurrency", 0, highest=MOST_AT_ONCE),
        on_disconnect=_on_disconnect(table),
        replace_after_seconds=_replace_after(table),
    )


def _name(top: TomlTable, key: str, value: str) -> str:
    try:
        return check_name(value, key)
    except BadInput as refusal:
        top.refuse(key, f"is {value!r}, which is not a name", refusal.remedy or "choose another")


def _tags(top: TomlTable) -> tuple[str, ...]:
    tags = top.texts("tags", ())
    for tag in tags:
        try:
            check_tag(tag)
        except BadInput as refusal:
            top.refuse("tags", f"holds {tag!r}", refusal.remedy or "choose another")
    return tags


def _command(top: TomlTable) -> tuple[str, ...]:
    command = top.values.get("command")
    try:
        argv = split_command(command) if isinstance(command, str) else top.texts("command", ())
    except BadInput as refusal:
        top.refuse(
            "command", f"is {command!r}, which cannot be split", refusal.remedy or "write it as a list"
        )
    if not argv or not argv[0]:
        top.refuse("command", "is missing or empty", 'add command = "python main.py"')
    if any("\0" in argument for argument in argv):
        top.refuse("command", "holds a NUL byte", "leave it out: no program can take it")
    return argv


def _params(top: TomlTable) -> dict[str, Param]:
    params = top.table("params", None)
    return {name: _param(params, name) for name in params.values}


def _param(params: TomlTable, name: str) -> Param:
    given = params.values[name]
    if not isinstance(given, dict):
        kind = next((kind for kind in PARAM_TYPES if type(given).__name__ == kind), None)
        if kind is None:
            params.refuse(name, f"is {given!r}", "give a string, a number, true or false, or a table")
        return Param(type=kind, default=_of_type(params, name, kind, given))
    table = params.table(name, PARAM_KEYS)
    kind = table.choice("type", PARAM_TYPES)
    choices = table.values.get("choices", [])
    if not isinstance(choices, list):
        table.refuse("choices", f"is {choices!r}", "give a list")
    param = Param(
        type=kind,
        default=_of_type(table, "default", kind, table.values.get("default")),
        required=table.flag("required"),
        choices=tuple(_of_type(table, "choices", kind, choice) for choice in choices),
        help=table.text("help"),
    )
    if param.choices and param.default not in (None, *param.choices):
        table.refuse(
            "default", f"is {param.default!r}, which is no choice", f"use one of {list(param.choices)}"
        )
    return param


def _of_type(table: TomlTable, key: str, kind: str, value: Any) -> Any:
    if value is None:
        return None
    try:
        return convert(key, kind, value)
    except BadInput:
        table.refuse(key, f"is {value!r}", f"give a value of type {kind}")


def _env(top: TomlTable) -> dict[str, str]:
    env = top.table("env", None)
    variables = {name: env.text(name) for name in env.values}
    for name, value in variables.items():
        try:
            check_variable(name, value)
        except BadInput as refusal:
            env.refuse(name, refusal.detail, refusal.remedy or "leave it out")
    return variables


def _limits(top: TomlTable) -> Limits:
    limits = top.table("limits", LIMITS_KEYS)
    for key, nothing in (("memory", "0B"), ("cpu", 0), ("processes", 0)):
        if limits.values.get(key, nothing) not in (nothing, 0):
            limits.refuse(key, "cannot be enforced by this version", "leave it out")
    return Limits(
        runtime_seconds=limits.duration("runtime", "0s"),
        stall_seconds=limits.duration("stall", "0s"),
        log_bytes=limits.size("log", "1GiB"),
        items=limits.whole("items", 0),
        prepare_seconds=limits.duration("prepare", "15m"),
        grace_seconds=limits.duration("grace", "10s"),
    )


def _retry(top: TomlTable) -> RetryPolicy:
    retry = top.table("retry", RETRY_KEYS)
    on = retry.texts("on", (ErrorClass.SYSTEM, ErrorClass.NETWORK))
    retried = [str(name) for name in ErrorClass if name is not ErrorClass.CANCELLED]
    if unknown := set(on) - set(retried):
        retry.refuse("on", f"names {min(unknown)!r}", f"use {', '.join(retried)}")
    return RetryPolicy(
        max_attempts=retry.whole("max_attempts", 3, lowest=1),
        on=on,
        backoff_seconds=retry.duration("backoff", "10s"),
        backoff_max_seconds=retry.duration("backoff_max", "10m"),
    )


def _outcome(top: TomlTable) -> Rules:
    outcome = top.table("outcome", OUTCOME_KEYS)
    codes = outcome.values.get("ok_exit_codes", [0])
    if not isinstance(codes, list) or not all(type(code) is int and 0 <= code <= 255 for code in codes):
        outcome.refuse("ok_exit_codes", f"is {codes!r}", "give a list of exit codes, 0 to 255")
    return Rules(
        min_items=outcome.whole("min_items", 0),
        max_error_ratio=outcome.number("max_error_ratio", 1.0, highest=1.0),
        ok_exit_codes=tuple(codes),
    )


def _placement(top: TomlTable) -> Placement:
    table = top.table("placement", PLACEMENT_KEYS)
    mode, nodes = table.choice("mode", MODES), table.texts("nodes", ())
    given = table.table("labels", None)
    labels = {name: given.text(name) for name in given.values}
    try:
        return checked_placement(mode, nodes, labels)
    except BadInput as refusal:
        table.refuse(refusal.field or "mode", f"is wrong: {refusal.detail}", refusal.remedy or "correct it")


def _on_disconnect(top: TomlTable) -> str:
    """What a spider does whose node is cut off: see docs/spider.md."""
    chosen = top.choice("on_disconnect", ("keep", "stop", "wait"))
    grace = top.table("limits", LIMITS_KEYS).duration("grace", "10s")
    if chosen == "stop" and grace > LONGEST_STOP_GRACE_SECONDS:
        top.refuse("on_disconnect", "is 'stop' with a limits.grace over 30s", "give a grace of at most 30s")
    return chosen


def _replace_after(top: TomlTable) -> float:
    seconds = top.duration("replace_after", "1h")
    if seconds > LONGEST_REPLACE_SECONDS:
        top.refuse("replace_after", f"is {top.text('replace_after')!r}", "give at most 24h")
    return seconds
