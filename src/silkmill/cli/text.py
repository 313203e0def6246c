"""Text of spiders and servers made fit for a terminal, and spans of time and sizes written."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click

# C0 but tab and newline, DEL, C1, and the characters that reorder text: what could move the cursor, set
# colours, or show a line other than it is.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_SPAN = re.compile(r"(\d+)(s|m|h|d)\Z")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
LONGEST_DAYS = 36_500
_STEPS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def printable(text: str) -> str:
    """Control characters as visible escapes: a page that a spider prints must not drive the terminal."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match.group()):02x}", text)


def is_utf8(text: str) -> bool:
    """Not so for an argument of other bytes, which Python keeps as lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Span(click.ParamType[timedelta]):
    """`90s 15m 2h 7d` as a timedelta."""

    name = "span"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        match = _SPAN.match(str(value))
        if match is None:
            self.fail(f"{value!r} is not a span of time; write 90s, 15m, 2h or 7d", param, ctx)
        seconds = int(match[1]) * _UNITS[match[2]]
        if seconds > LONGEST_DAYS * 86400:
            self.fail(f"{value!r} is too long; give {LONGEST_DAYS}d or less", param, ctx)
        return timedelta(seconds=seconds)


class Moment(click.ParamType[str]):
    """A span before now, or a time with its zone; as RFC 3339."""

    name = "moment"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if _SPAN.match(str(value)):
            return (datetime.now(UTC) - Span().convert(value, param, ctx)).isoformat()
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            self.fail(
                f"{value!r} is neither a span of time, such as 10m, nor a time such as 2026-03-01T12:00:00Z",
                param,
                ctx,
            )
        return moment.isoformat()


def span(seconds: float) -> str:
    """The two largest units: `2h5m`, `14s`; under ten seconds with a decimal."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    left = int(seconds)
    parts: list[str] = []
    for size, unit in _STEPS:
        if left >= size or parts:
            parts.append(f"{left // size}{unit}")
            left %= size
    return "".join(part for part in parts[:2] if not part.startswith("0"))


def size(count: int) -> str:
    """`512 B`, `1.5 KiB`, `52.3 MiB`."""
    if count < 1024:
        return f"{count} B"
    amount, units = count / 1024, iter(("KiB", "MiB", "GiB", "TiB"))
    unit = next(units)
    while amount >= 1024 and (larger := next(units, None)):
        amount, unit = amount / 1024, larger
    return f"{amount:.1f} {unit}"


def age(time: str, now: datetime | None = None) -> str:
    """How long ago an RFC 3339 time was."""
    return span(max(0.0, ((now or datetime.now(UTC)) - datetime.fromisoformat(time)).total_seconds()))
