"""`[[schedules]]` of spider.toml, checked key by key."""

from __future__ import annotations

from typing import Any

from silkmill.domain.errors import BadInput
from silkmill.domain.schedule import CatchUp, Overlap, ScheduleConfig
from silkmill.domain.schedule_check import check_schedule
from silkmill.domain.spider import SpiderConfig
from silkmill.domain.toml_table import TomlTable

SCHEDULE_KEYS = ["name", "cron", "timezone", "overlap", "catchup", "enabled", "params"]


def parse_schedules(top: TomlTable, spider: SpiderConfig) -> tuple[ScheduleConfig, ...]:
    """The schedules of a spider, whose table `top` is. Raises BadInput, which names file, key and remedy."""
    schedules: dict[str, ScheduleConfig] = {}
    for number, table in enumerate(top.tables("schedules", SCHEDULE_KEYS)):
        schedule = _schedule(table, spider)
        if schedule.name in schedules:
            table.refuse("name", f"is {schedule.name!r} as of one before (number {number})", "choose another")
        schedules[schedule.name] = schedule
    return tuple(schedules.values())


def _schedule(table: TomlTable, spider: SpiderConfig) -> ScheduleConfig:
    schedule = ScheduleConfig(
        name=table.text("name", required=True),
        cron=table.text("cron", required=True),
        timezone=table.text("timezone", "UTC"),
        overlap=Overlap(table.choice("overlap", tuple(Overlap))),
        catchup=CatchUp(table.choice("catchup", tuple(CatchUp))),
        enabled=table.flag("enabled", True),
        params=_params(table),
    )
    try:
        return check_schedule(schedule, spider)
    except BadInput as refusal:
        table.refuse(refusal.field or "name", f"is wrong: {refusal.detail}", refusal.remedy or "correct it")


def _params(table: TomlTable) -> dict[str, Any]:
    return dict(table.table("params", None).values)
