"""What a schedule must be like before it is stored."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from silkmill.domain.cron_line import CronLine
from silkmill.domain.errors import BadInput
from silkmill.domain.schedule import ScheduleConfig
from silkmill.domain.spider import SpiderConfig, check_name, render_command, resolve_params

Choice = TypeVar("Choice", bound=StrEnum)


def check_schedule(config: ScheduleConfig, spider: SpiderConfig) -> ScheduleConfig:
    """The schedule as it was given, if this spider can have it. Raises BadInput that names the field."""
    check_name(config.name, "name")
    CronLine.read(config.cron, config.timezone)
    render_command(spider, resolve_params(spider, config.params))
    return config


def choice_of(kind: type[Choice], value: str, field: str) -> Choice:
    """A choice by its text. Raises BadInput."""
    try:
        return kind(value)
    except ValueError:
        remedy = f"use one of {', '.join(kind)}"
        raise BadInput(f"{field} is {value!r}", field=field, remedy=remedy) from None
