"""A spider's configuration as a value, and what of it a task needs to run."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from silkmill.domain import scrapy
from silkmill.domain.errors import BadInput
from silkmill.domain.outcome import Rules
from silkmill.domain.placement import ANYWHERE, Placement
from silkmill.domain.retry import RetryPolicy
from silkmill.domain.schedule import ScheduleConfig

NAME = re.compile(r"[a-z0-9._-]{1,64}\Z")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
OUR_VARIABLES = ("SILKMILL_", "CRAWLAB_")


@dataclass(frozen=True, slots=True)
class Param:
    """A declared parameter. `type`: str | int | float | bool."""

    type: str = "str"
    default: Any = None
    required: bool = False
    choices: tuple[Any, ...] = ()
    help: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """The `[limits]` part of spider.toml. Seconds and bytes; 0 is no limit."""

    runtime_seconds: float = 0.0
    stall_seconds: float = 0.0
    log_bytes: int = 1 << 30
    items: int = 0
    prepare_seconds: float = 900.0
    grace_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class SpiderConfig:
    """One spider of a version: its spider.toml, checked. `command` is an argv template."""

    name: str
    project: str = "default"
    command: tuple[str, ...] = ()
    priority: int = 5
    tags: tuple[str, ...] = ()
    ipc: str = "open"
    stdin: str = "open"
    params: dict[str, Param] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    limits: Limits = Limits()
    retry: RetryPolicy = RetryPolicy()
    outcome: Rules = Rules()
    include: tuple[str, ...] = ("**",)
    ignore: tuple[str, ...] = ()
    placement: Placement = ANYWHERE
    max_concurrency: int = 0
    """How many tasks of the spider may run at once; 0 is no limit."""
    on_disconnect: str = "keep"
    replace_after_seconds: float = 3600.0
    schedules: tuple[ScheduleConfig, ...] = ()
    scrapy: bool = False
    """Its command is `scrapy crawl`: parameters become arguments of the spider, and it takes settings."""


@dataclass(frozen=True, slots=True)
class Spider:
    """A spider by name, pointing to the version that new tasks get."""

    project: str
    name: str
    version: str
    schedules_follow: bool = False
    """Whether its schedules are those of this version: not so until its release is complete."""
    pointed_at: datetime | None = None
    """When a deploy or a rollback chose this version; None: before that was noted."""


def check_name(value: str, field_name: str) -> str:
    # The contract's pattern alone would allow the two names that mean folders in a path.
    if not NAME.match(value) or value in (".", ".."):
        raise BadInput(
            f"{field_name} {value!r} is not a name",
            field=field_name,
            remedy="use 1 to 64 of the characters a-z 0-9 . _ -",
        )
    return value


def check_tag(tag: str) -> None:
    """A tag is typed and shown on one line, so it must be seen as it is. Raises BadInput."""
    if not tag or tag != tag.strip() or not tag.isprintable():
        raise BadInput(
            f"the tag {tag!r} is empty, or has spaces around it or control characters in it",
            field="tags",
            remedy="give a tag that can be read on one line, or none",
        )


def check_variable(name: str, value: str) -> None:
    """An environment variable that a spider or a submitter may set. Raises BadInput."""
    if not VARIABLE.match(name) or name.startswith(OUR_VARIABLES):
        raise BadInput(
            f"the variable {name!r} cannot be set",
            field=f"env.{name}",
            remedy="use letters, digits and _; SILKMILL_ and CRAWLAB_ are the engine's own",
        )
    if "\0" in value:
        raise BadInput(f"the value of {name} holds a NUL byte", field=f"env.{name}", remedy="leave it out")


def resolve_params(config: SpiderConfig, given: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a task: those given, checked and converted, over the declared defaults.

    Raises BadInput for a missing or ill-typed one, and for an undeclared one, but of Scrapy."""
    undeclared = {name: value for name, value in given.items() if name not in config.params}
    if undeclared and not config.scrapy:
        name, declared = next(iter(undeclared)), ", ".join(sorted(config.params)) or "none"
        raise BadInput(
            f"spider {config.name} has no parameter {name!r} (declared: {declared})",
            field=f"params.{name}",
            remedy=f"declare [params.{name}] in spider.toml",
        )
    resolved = {name: _resolve(name, param, given) for name, param in config.params.items()}
    return {name: value for name, value in (resolved | undeclared).items() if value is not None}


def check_settings(config: SpiderConfig, settings: dict[str, str]) -> None:
    """What a submitter wants Scrapy's settings to be. Raises BadInput."""
    if settings and not config.scrapy:
        raise BadInput(
            f"spider {config.name} takes no settings",
            field="settings",
            remedy="leave them out: only what `scrapy crawl` runs takes them",
        )
    for name, value in settings.items():
        scrapy.check_option(name, value, "settings")


def render_command(
    config: SpiderConfig, params: dict[str, Any], settings: dict[str, str] | None = None
) -> tuple[str, ...]:
    """The argv: `{name}` is replaced inside one argument and stays inside it; `{{` is `{`.

    A closing brace is itself, doubled or not, so that JSON in an argument stays as it is written. Scrapy gets
    parameters that stand nowhere in the command as `-a`, settings as `-s`. Raises BadInput."""
    argv = tuple(_render(argument, params) for argument in config.command)
    if not config.scrapy:
        return argv
    placed = places(config.command)
    arguments = {name: text_of(value) for name, value in params.items() if name not in placed}
    for name, text in arguments.items():
        scrapy.check_option(name, text, "params")
    return (*argv, *scrapy.options("a", arguments), *scrapy.options("s", settings or {}))


def split_command(command: str | list[str]) -> tuple[str, ...]:
    if isinstance(command, list):
        return tuple(command)
    try:
        return tuple(shlex.split(command))
    except ValueError as error:
        raise BadInput(f"command {command!r}: {error}", field="command", remedy="close the quote") from error


def _resolve(name: str, param: Param, given: dict[str, Any]) -> Any:
    value = given.get(name, param.default)
    if value is None:
        if param.required:
            raise BadInput(
                f"parameter {name!r} is required", field=f"params.{name}", remedy=f"give -a {name}=…"
            )
        return None
    value = convert(name, param.type, value)
    if param.choices and value not in param.choices:
        allowed = ", ".join(map(str, param.choices))
        raise BadInput(
            f"{value!r} is not a choice of {name}", field=f"params.{name}", remedy=f"use one of {allowed}"
        )
    return value


_BOOLEANS = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}


def convert(name: str, type_name: str, value: Any) -> Any:
    """A value as a parameter of that type: itself, or made from its text. Raises BadInput."""
    try:
        return _CONVERT[type_name](value)
    except (KeyError, ValueError, TypeError, OverflowError):
        raise BadInput(
            f"{name}: {value!r} is not {type_name}",
            field=f"params.{name}",
            remedy=f"give a value of type {type_name}",
        ) from None


def _to_str(value: Any) -> str:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise TypeError
    return str(value)


def _to_int(value: Any) -> int:
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise TypeError
    return int(value)


def _to_float(value: Any) -> float:
    if not isinstance(value, str | int | float) or isinstance(value, bool) or not math.isfinite(float(value)):
        raise TypeError
    return float(value)


def _to_bool(value: Any) -> bool:
    return value if isinstance(value, bool) else _BOOLEANS[str(value).lower()]


_CONVERT: dict[str, Callable[[Any], Any]] = {
    "str": _to_str,
    "int": _to_int,
    "float": _to_float,
    "bool": _to_bool,
}


_PLACE = re.compile(r"\{\{|\{([A-Za-z_][A-Za-z0-9_-]*)\}")


def places(command: tuple[str, ...]) -> set[str]:
    """Names of the parameters that a command is filled with."""
    return {name for argument in command for name in _PLACE.findall(argument) if name}


def _render(argument: str, params: dict[str, Any]) -> str:
    def replacement(match: re.Match[str]) -> str:
        name = match.group(1)
        if name is None:
            return match.group(0)[0]
        if name not in params:
            raise BadInput(
                f"the command names {{{name}}}, which has no value",
                field=f"params.{name}",
                remedy=f"give -a {name}=… or a default in spider.toml; write {{{{ for a literal brace",
            )
        return _without_nul(name, text_of(params[name]))

    return _PLACE.sub(replacement, argument)


def _without_nul(name: str, text: str) -> str:
    if "\0" in text:
        raise BadInput(
            f"parameter {name!r} holds a NUL byte", field=f"params.{name}", remedy="no program can take it"
        )
    return text


def text_of(value: Any) -> str:
    """A parameter as command-line text: strings as they are, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)
