"""Whether a value is what a JSON schema says, for the part of JSON Schema 2020-12 that the document uses.

Stricter in one way: an object has no property that its schema does not name. A keyword that is not known here
is an error of its own, so nothing goes unchecked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}
WORDS = {"title", "description", "default", "examples"}


def faults(value: Any, schema: dict[str, Any], document: dict[str, Any], at: str = "$") -> Iterator[str]:
    """What is wrong, and where. `document` holds what the schema refers to."""
    for keyword, said in schema.items():
        if keyword in WORDS:
            continue
        check = CHECKS.get(keyword)
        if check is None:
            raise AssertionError(f"{at}: {keyword!r} is a keyword that this check does not know")
        yield from check(value, said, schema, document, at)


def _reference(value: Any, said: str, schema: Any, document: Any, at: str) -> Iterator[str]:
    found = document
    for part in said.removeprefix("#/").split("/"):
        found = found[part]
    yield from faults(value, found, document, at)


def _type(value: Any, said: str, *rest: Any) -> Iterator[str]:
    if not isinstance(value, TYPES[said]) or (isinstance(value, bool) and said != "boolean"):
        yield f"{rest[-1]}: {value!r} is no {said}"


def _enum(value: Any, said: list[Any], *rest: Any) -> Iterator[str]:
    if value not in said:
        yield f"{rest[-1]}: {value!r} is none of {said}"


def _any_of(value: Any, said: list[Any], schema: Any, document: Any, at: str) -> Iterator[str]:
    wrong = [list(faults(value, one, document, at)) for one in said]
    if all(wrong):
        yield from (fault for one in wrong for fault in one)


def _properties(value: Any, said: dict[str, Any], schema: Any, document: Any, at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        return
    if "additionalProperties" not in schema:
        yield from (f"{at}: {name!r} is not in the schema" for name in value.keys() - said.keys())
    for name in value.keys() & said.keys():
        yield from faults(value[name], said[name], document, f"{at}.{name}")


def _additional(value: Any, said: Any, schema: Any, document: Any, at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        return
    others = value.keys() - schema.get("properties", {}).keys()
    if said is False:
        yield from (f"{at}: {name!r} is not in the schema" for name in others)
    elif said is not True:
        for name in others:
            yield from faults(value[name], said, document, f"{at}.{name}")


def _property_names(value: Any, said: Any, schema: Any, document: Any, at: str) -> Iterator[str]:
    for name in value if isinstance(value, dict) else ():
        yield from faults(name, said, document, f"{at}.{name}")


def _required(value: Any, said: list[str], *rest: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (f"{rest[-1]}: {name!r} is missing" for name in said if name not in value)


def _items(value: Any, said: Any, schema: Any, document: Any, at: str) -> Iterator[str]:
    if isinstance(value, list) and said is not False:
        for index, one in enumerate(value):
            yield from faults(one, said, document, f"{at}[{index}]")


def _format(value: Any, said: str, *rest: Any) -> Iterator[str]:
    assert said == "date-time"
    if isinstance(value, str):
        try:
            aware = datetime.fromisoformat(value).tzinfo is not None
        except ValueError:
            aware = False
        if not aware:
            yield f"{rest[-1]}: {value!r} is no time of RFC 3339"


def _pattern(value: Any, said: str, *rest: Any) -> Iterator[str]:
    if isinstance(value, str) and not re.search(said, value):
        yield f"{rest[-1]}: {value!r} does not match {said}"


def _minimum(value: Any, said: float, *rest: Any) -> Iterator[str]:
    if isinstance(value, int | float) and value < said:
        yield f"{rest[-1]}: {value} is less than {said}"


def _maximum(value: Any, said: float, *rest: Any) -> Iterator[str]:
    if isinstance(value, int | float) and value > said:
        yield f"{rest[-1]}: {value} is more than {said}"


CHECKS = {
    "$ref": _reference,
    "type": _type,
    "enum": _enum,
    "anyOf": _any_of,
    "properties": _properties,
    "additionalProperties": _additional,
    "propertyNames": _property_names,
    "required": _required,
    "items": _items,
    "format": _format,
    "pattern": _pattern,
    "minimum": _minimum,
    "maximum": _maximum,
}
