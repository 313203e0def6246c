"""Which frames of a log somebody asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from silkmill.domain.errors import BadInput
from silkmill.master.logs.needle import Needle, required
from silkmill.protocol.logframe import rfc3339
from silkmill.protocol.loglevel import Level

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LAST = datetime.max.replace(tzinfo=UTC)
_PLAIN = re.compile(r"[0-9A-Za-z_]+")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is None or empty does not narrow.

    `stream`: b"stdout" (its messages too), b"stderr" or b"system". `level`: this one and worse. `where`:
    names and values of fields of a LOG message, all of them. `since`: a time as frames have it."""

    stream: bytes | None = None
    needle: Needle | None = None
    level: Level | None = None
    where: tuple[tuple[str, str], ...] = ()
    since: bytes | None = None

    @property
    def any_line(self) -> bool:
        """Whether a line's stream and time are enough to tell."""
        return self.needle is None and not self.by_record

    @property
    def by_record(self) -> bool:
        """Whether lines before a line may be needed to tell."""
        return self.level is not None or bool(self.where)

    @property
    def literals(self) -> list[bytes]:
        """Plain bytes that all stand in a line that is wanted. Whoever writes JSON leaves ASCII letters and
        digits as they are."""
        texts = [text for pair in self.where for text in pair]
        runs = [max(_PLAIN.findall(text), key=len, default="").encode() for text in texts]
        return [literal for literal in (required(self.needle), *runs) if literal]


def frame_time(at: datetime) -> bytes:
    """As frames have it, compared as text: 1970 for what is before, 9999 for what is after."""
    since_epoch = min(max(at, _EPOCH), _LAST) - _EPOCH
    return rfc3339(since_epoch // _MICROSECOND * 1000).encode()


def parse_where(pairs: list[str]) -> tuple[tuple[str, str], ...]:
    """`name=value` each. Raises BadInput."""
    return tuple(_parse_pair(pair) for pair in pairs)


def _parse_pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise BadInput(f"{text!r} has no form NAME=VALUE", field="where", remedy="write it as site=example")
    return name, value
