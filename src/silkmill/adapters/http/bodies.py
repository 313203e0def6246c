"""Request bodies: JSON into checked values, with an error that names the field."""

from __future__ import annotations

import difflib
import re
from functools import cache
from typing import TypeVar

import msgspec
from starlette.requests import Request

from silkmill.domain.errors import BadInput

Body = TypeVar("Body", bound=msgspec.Struct)

_UNKNOWN = re.compile(r"unknown field `(.+?)`")
_MISSING = re.compile(r"required field `(.+?)`")
_PATH = re.compile(r" - at `(?:key in )?\$\.?(.*)`$")


async def read_body(request: Request, kind: type[Body]) -> Body:
    """The body as `kind`; an empty one is `{}`. Raises BadInput."""
    return decode(await request.body() or b"{}", kind)


def decode(text: bytes, kind: type[Body]) -> Body:
    try:
        body: Body = _decoder(kind).decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise bad_json(error, kind) from None
    return body


def bad_json(error: Exception, kind: type[msgspec.Struct]) -> BadInput:
    """What msgspec says, as an error with a field and a remedy."""
    text = str(error)
    known = kind.__struct_fields__
    unknown, missing, path = _UNKNOWN.search(text), _MISSING.search(text), _PATH.search(text)
    if unknown:
        name = unknown.group(1)
        near = difflib.get_close_matches(name, known, 1)
        remedy = f"did you mean {near[0]!r}?" if near else f"known fields: {', '.join(known)}"
        return BadInput(f"unknown field {name!r}", field=name, remedy=remedy)
    if missing:
        return BadInput(f"{missing.group(1)!r} is missing", field=missing.group(1), remedy="add it")
    detail = _PATH.sub("", text)
    if path and path.group(1):
        return BadInput(f"{path.group(1)}: {detail}", field=path.group(1), remedy="correct its type")
    return BadInput(f"the body is not valid: {detail}", remedy="send one JSON object")


@cache
def _decoder(kind: type[Body]) -> msgspec.json.Decoder[Body]:
    return msgspec.json.Decoder(kind)
