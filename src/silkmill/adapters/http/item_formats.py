"""Items as JSON lines, one JSON list or CSV, byte for byte as the spider wrote their values."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from silkmill.adapters.http.answers import encode

Pages = AsyncIterator[list[bytes]]
Read = Callable[[], Pages]
"""Begins to read the items anew: CSV reads them twice."""
Ids = dict[str, Any] | None

UNSPLIT = "_item"
"""The CSV column of an item that is no object, or that only a more patient JSON reader can take apart."""
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


async def write_jsonl(read: Read, ids: Ids) -> AsyncIterator[bytes]:
    async for page in read():
        yield b"".join([_with_ids(raw, ids) + b"\n" for raw in page])


async def write_json(read: Read, ids: Ids) -> AsyncIterator[bytes]:
    before = b"["
    async for page in read():
        yield before + b",\n".join([_with_ids(raw, ids) for raw in page])
        before = b",\n"
    yield b"]\n" if before != b"[" else b"[]\n"


async def write_csv(read: Read, ids: Ids) -> AsyncIterator[bytes]:
    """Columns in the order of their first appearance in any item, so all items are read once before."""
    columns: dict[str, None] = dict.fromkeys(ids or ())
    async for page in read():
        for raw in page:
            columns.update(dict.fromkeys(_split(raw)))
    if not columns:
        return
    yield _rows([[_safe(name) for name in columns]])
    fixed = {name: _cell(encode(value)) for name, value in (ids or {}).items()}
    async for page in read():
        rows = [{name: _cell(value) for name, value in _split(raw).items()} | fixed for raw in page]
        yield _rows([[row.get(name, "") for name in columns] for row in rows])


def _with_ids(raw: bytes, ids: Ids) -> bytes:
    """The ids are spliced in as text: the item's own bytes, long numbers too, stay as they are."""
    item = raw.rstrip()
    if ids is None or not item.endswith(b"}"):
        return raw
    inside = item[item.index(b"{") + 1 : -1].strip()
    return b"{" + inside + (b"," if inside else b"") + encode(ids)[1:]


def _split(raw: bytes) -> dict[str, bytes]:
    """The values of an item by key, each as the JSON it was written in."""
    try:
        return {name: bytes(value) for name, value in _object.decode(raw).items()}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {UNSPLIT: raw}


def _cell(value: bytes) -> str:
    """Text as itself, null as nothing, everything else as JSON."""
    if value == b"null":
        return ""
    if not value.startswith(b'"'):
        return value.decode("utf-8", "replace")
    try:
        return _safe(_string.decode(value))
    except (msgspec.MsgspecError, UnicodeDecodeError):  # half a surrogate pair, which JSON allows
        return value.decode("utf-8", "replace")


def _safe(text: str) -> str:
    """A spreadsheet runs a cell that begins so as a formula (OWASP, CSV injection)."""
    return "'" + text if text.startswith(_FORMULA_STARTS) else text


def _rows(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8", "replace")


_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_string = msgspec.json.Decoder(str)


@dataclass(frozen=True, slots=True)
class Format:
    media_type: str
    write: Callable[[Read, Ids], AsyncIterator[bytes]]


FORMATS = {
    "jsonl": Format("application/x-ndjson", write_jsonl),
    "json": Format("application/json", write_json),
    "csv": Format("text/csv; charset=utf-8", write_csv),
}
