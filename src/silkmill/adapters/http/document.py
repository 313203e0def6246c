"""The OpenAPI document: parameters as FastAPI reads them, bodies and answers from the types of the code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from silkmill import __version__
from silkmill.adapters.http.problems import ProblemShape
from silkmill.adapters.http.told import KEY, Contents, Told, told_by

PREFIX = "/api/v1/"
DESCRIPTION = (
    "Times are RFC 3339 in UTC; what is absent is null. Errors are `application/problem+json`, with the field"
    " that is wrong and what to do. docs/http.md says more of every route."
)
ERRORS = {
    "default": "Any other error.",
    "401": "No valid token.",
    "404": "Not found.",
    "409": "An ambiguous id, or not in this state.",
    "413": "The body is too large.",
    "415": "The body has another Content-Encoding than gzip.",
    "421": "The Host is not an address of this server.",
    "422": "A value is wrong: `field` names it.",
    "503": "A part is away. A write may have been carried out; Retry-After says when to repeat.",
}
_SCHEMAS, _RESPONSES = "#/components/schemas/", "#/components/responses/"
_LINE_END = re.compile(r"(?<!\n)\n(?!\n)")


def document(app: FastAPI) -> dict[str, Any]:
    """Takes tens of milliseconds, so it is made for whoever asks only."""
    made = get_openapi(title="Silkmill", version=__version__, description=DESCRIPTION, routes=app.routes)
    told_at = {where: told_by(operation.pop(KEY)) for where, operation in _operations(made)}
    shapes = [ProblemShape, *(shape for told in told_at.values() for shape in _shapes(told))]
    schemas, components = msgspec.json.schema_components(shapes, ref_template=_SCHEMAS + "{name}")
    given = iter(schemas)
    problem = {"application/problem+json": {"schema": next(given)}}
    for where, operation in _operations(made):
        _describe(operation, *where)
        _fill(operation, told_at[where], given)
    own = {name: schema for name, schema in made["components"]["schemas"].items() if "Validation" not in name}
    made["components"]["schemas"] = dict(sorted((own | components).items()))
    made["components"]["responses"] = {
        name: {"description": text, "content": problem} for name, text in ERRORS.items()
    }
    renamed: dict[str, Any] = _without_suffix(made)
    return renamed


def _operations(made: dict[str, Any]) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    for path, methods in made["paths"].items():
        yield from (((path, method), operation) for method, operation in methods.items())


def _shapes(told: Told) -> list[Any]:
    """In the order in which `_fill` needs their schemas."""
    contents = [*told.body, *told.answer]
    return [content.shape for content in contents if content.shape is not None] + list(told.events.values())


def _describe(operation: dict[str, Any], path: str, method: str) -> None:
    """What FastAPI says of it, without what it says of its own types."""
    is_probe = "security" not in operation
    parts = path.removeprefix(PREFIX).strip("/").split("/")
    words = [method, *(["root"] if not path.startswith(PREFIX) else [])]
    words += [re.sub(r"\W", "_", part) for part in parts if "{" not in part]
    operation["operationId"] = "_".join([*words, *(["one"] if "{" in parts[-1] else [])])
    operation["tags"] = ["probes" if is_probe else parts[0]]
    operation["description"] = _LINE_END.sub(" ", operation["description"])
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = _never_null(parameter["schema"])


def _never_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter is left out instead."""
    kept = {name: value for name, value in schema.items() if name not in ("title", "description")}
    some = [one for one in kept.pop("anyOf", ()) if one != {"type": "null"}]
    return kept | some[0] if some else kept


def _fill(operation: dict[str, Any], told: Told, given: Iterator[dict[str, Any]]) -> None:
    """Body, answers and errors; `given`: the schemas of its shapes."""
    if told.body:
        operation["requestBody"] = {"content": _media(told.body, given)}
    content = _media(told.answer, given)
    operation["responses"] = {str(status): _answer(status, content, told) for status in told.statuses}
    for name in [*map(str, _errors(operation, told)), "default"]:
        operation["responses"][name] = {"$ref": _RESPONSES + name}
    if told.events:
        operation["x-events"] = {name: next(given) for name in told.events}


def _media(contents: Contents, given: Iterator[dict[str, Any]]) -> dict[str, Any]:
    return {
        content.media_type: {} if content.shape is None else {"schema": next(given)} for content in contents
    }


def _answer(status: int, content: dict[str, Any], told: Told) -> dict[str, Any]:
    text = {"type": "string"}
    headers = {name: {"description": said, "schema": text} for name, said in told.headers.items()}
    parts = {"headers": headers, "content": content}
    return {"description": HTTPStatus(status).phrase} | {name: part for name, part in parts.items() if part}


def _errors(operation: dict[str, Any], told: Told) -> list[int]:
    """Those of its own, and those that what it takes brings with it."""
    found = {421, *told.errors}
    if not told.alone:
        found.add(503)
    if "security" in operation:
        found.add(401)
    if told.body:
        found |= {413, 415, 422}
    if any(parameter["in"] == "query" for parameter in operation.get("parameters", ())):
        found.add(422)
    return sorted(found)


def _without_suffix(made: Any) -> Any:
    """`TaskShape` is a name among us, where Task is another thing; for others it is Task."""
    match made:
        case dict():
            return {_short(name): _without_suffix(value) for name, value in made.items()}
        case list():
            return [_without_suffix(value) for value in made]
        case str():  # a reference, or a title
            return _short(made)
    return made


def _short(name: str) -> str:
    return name.removesuffix("Shape")
