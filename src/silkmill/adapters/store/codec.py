"""Records as JSON documents and back, and the fields of a task that a store can search by."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec

from silkmill.domain.attempt import Positions
from silkmill.domain.fields import with_fields
from silkmill.domain.states import State
from silkmill.domain.task import Task

Record = TypeVar("Record")
Field = str | int | None

POSITIONS = ("log_offset", "items_offset", "items_count")
"""The fields of `Positions`, in its order."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_decoders: dict[object, msgspec.json.Decoder[Any]] = {}
_encoder = msgspec.json.Encoder()


def encode(value: object) -> bytes:
    """Any record of `domain` as JSON."""
    return _encoder.encode(value)


def decode(kind: type[Record], document: bytes) -> Record:
    decoder = _decoders.get(kind) or _decoders.setdefault(kind, msgspec.json.Decoder(kind))
    record: Record = decoder.decode(document)
    return record


def task_from(document: bytes, positions: Positions) -> Task:
    """The task of a document; its positions are kept beside it, because other writes move them."""
    return with_positions(decode(Task, document), positions)


def with_positions(task: Task, positions: Positions) -> Task:
    return task if task.positions == positions else with_fields(task, positions=positions)


def index_of(task: Task) -> dict[str, Field]:
    """What a task is found by, except its id: the one place that derives it. Positions are not part of it."""
    attempt = task.attempt
    release_at = task.next_attempt_at if task.state is State.CREATED else None
    return {
        "state": task.state.value,
        "attempt": attempt.number if attempt else None,
        "session": attempt.session if attempt else None,
        "queue": task.queue if task.waits else None,
        "waiting_priority": task.priority if task.waits else None,
        "order_key": task.order,
        "project": task.project,
        "spider": task.spider,
        "group_key": task.group,
        "created_at": microseconds(task.created_at),
        "release_at": optional_microseconds(release_at),
        "upkeep_at": optional_microseconds(task.upkeep_at),
        "spider_permit": attempt.spider_permit if attempt else None,
        "project_permit": attempt.project_permit if attempt else None,
        "submit_key": None if task.key is None else submit_key(task.project, task.spider, task.key),
        "firing": task.firing,
        "open_firing": None if task.state.final else task.firing,
        "waits_after": task.waits_after,
    }


def submit_key(project: str, spider: str, key: str) -> str:
    return f"{project}/{spider}#{key}"


def fields_of(positions: Positions) -> dict[str, int]:
    return {name: getattr(positions, name) for name in POSITIONS}


def kind_name(kind: type[object]) -> str:
    """The name under which records of a type are kept."""
    return kind.__name__.lower()


def microseconds(at: datetime) -> int:
    """Since 1970, exact; datetimes are compared as integers."""
    return (at - EPOCH) // _MICROSECOND


def optional_microseconds(at: datetime | None) -> int | None:
    return None if at is None else microseconds(at)


def from_microseconds(count: int) -> datetime:
    return EPOCH + count * _MICROSECOND
