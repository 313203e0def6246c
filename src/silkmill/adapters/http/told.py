"""What the OpenAPI document says of a route beside its parameters, told where the route is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

KEY: Final = "x-told"
_all: list[Told] = []


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes of a media type; `shape`: what JSON they are, if they are."""

    media_type: str
    shape: Any = None


Contents = tuple[Content, ...]
TEXT = (Content("text/plain"),)
BINARY = (Content("application/octet-stream"),)
EVENTS = (Content("text/event-stream"),)
LOCATION = {"Location": "Where the new one can be read."}


@dataclass(frozen=True, slots=True)
class Told:
    """`errors`: those that the route has of its own. `headers`: of its answers, with what they mean.
    `events`: of a stream of events, what the data of each is. `alone`: it needs no part that may be away."""

    statuses: tuple[int, ...]
    answer: Contents
    body: Contents
    errors: tuple[int, ...]
    headers: Mapping[str, str]
    events: Mapping[str, Any]
    alone: bool


def told(
    summary: str,
    answer: Any = (),
    *,
    status: int | tuple[int, ...] = 200,
    body: Any = (),
    errors: tuple[int, ...] = (),
    headers: Mapping[str, str] | None = None,
    events: Mapping[str, Any] | None = None,
    alone: bool = False,
) -> dict[str, Any]:
    """The keywords of a route. `answer` and `body`: the type of their JSON, or the contents they may have.

    Nothing is made of it before somebody asks for the document."""
    statuses = status if isinstance(status, tuple) else (status,)
    contents = _contents(answer), _contents(body)
    _all.append(Told(statuses, *contents, errors, headers or {}, events or {}, alone))
    return {"summary": summary, "openapi_extra": {KEY: len(_all) - 1}}


def told_by(number: int) -> Told:
    """What stands under KEY in an operation, made out again."""
    return _all[number]


def _contents(given: Any) -> Contents:
    return given if isinstance(given, tuple) else (Content("application/json", given),)
