"""LOG messages of a spider, read back from the JSON that the log keeps of them."""

from __future__ import annotations

import json
from typing import Any

from silkmill.protocol.loglevel import Level, level_named


class LogRecord:
    """`level` is None for a name that is no level; a record without a name is an info. Numbers in `fields`
    are their text as it was sent."""

    __slots__ = ("fields", "level")

    def __init__(self, level: Level | None, fields: dict[str, Any]) -> None:
        self.level = level
        self.fields = fields

    def has(self, name: str, value: str) -> bool:
        """Whether a field is that text, number, true, false or null."""
        return name in self.fields and _text(self.fields[name]) == value


_decode = json.JSONDecoder(parse_int=str, parse_float=str).decode


def parse_record(text: bytes) -> LogRecord | None:
    """None for what is not the whole JSON of one."""
    try:
        value = _decode(text.decode())
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    fields = value.get("fields")
    return LogRecord(_level(value.get("level")), fields if isinstance(fields, dict) else {})


def _level(name: Any) -> Level | None:
    if not name:
        return Level.INFO
    return level_named(name.encode(errors="replace")) if isinstance(name, str) else None


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    return json.dumps(value) if value is None or isinstance(value, bool) else None
