"""From a spider's values to JSON, so that what a crawler usually holds can be saved as it is.

datetime, date, time → ISO 8601; Decimal, UUID, Path → string; bytes → string (U+FFFD for what is no UTF-8);
NaN and infinities → null; set, tuple → list; keys that are numbers, booleans or None → strings as JSON writes
them; Enum → its value; dataclass, attrs, namedtuple, pydantic and Scrapy items → object. Integers keep all
digits.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import math
import operator
import pathlib
import sys
import uuid
from collections.abc import Mapping, Set
from typing import Any, Dict, Optional

_MAX_DEPTH = 511
_TOO_DEEP = "the value is nested too deeply; does it contain itself?"
_AS_THEY_ARE = (str, int, bool, type(None))
_AS_TEXT = (decimal.Decimal, uuid.UUID, pathlib.PurePath)
_DATES = (datetime.date, datetime.time)
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def encode_object(item: Any) -> bytes:
    """The JSON object for one item; `TypeError` for what is none, `ValueError` for what JSON cannot hold."""
    members = members_of(item)
    if members is None:
        raise TypeError(
            "an item must be a mapping, a dataclass or a similar object with named fields, not "
            + type(item).__name__
        )
    return encode(members)


def encode(value: Any) -> bytes:
    """The JSON of any value, UTF-8. Raises `TypeError` and `ValueError` like `encode_object`."""
    try:
        plain = _plain(value, 0)
        text = _to_text(plain)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        # Lone surrogates, which no store can keep; pairs of them become the character they mean.
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode("utf-8")


def members_of(value: Any) -> Optional[Mapping[Any, Any]]:
    """The named fields of a value; None if it has none."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, type):
        return None
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if hasattr(value, "__attrs_attrs__"):
        return {field.name: getattr(value, field.name) for field in value.__attrs_attrs__}
    for method in ("_asdict", "model_dump"):
        if callable(getattr(value, method, None)):
            return dict(getattr(value, method)())
    return None


def _to_text(plain: Any) -> str:
    try:
        return _encode(plain)
    except ValueError:
        if not hasattr(sys, "set_int_max_str_digits"):
            raise
    # Python refuses to write an integer of more than 4,300 digits unless it is told that this is meant.
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        return _encode(plain)
    finally:
        sys.set_int_max_str_digits(limit)


def _plain(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind is float:
        return value if math.isfinite(value) else None
    if depth > _MAX_DEPTH:
        raise ValueError(_TOO_DEEP)
    if isinstance(value, (list, tuple, Set)) and not hasattr(value, "_asdict"):
        return [_plain(element, depth + 1) for element in value]
    members = members_of(value)
    return _plain_scalar(value) if members is None else _plain_object(members, depth)


def _plain_object(members: Mapping[Any, Any], depth: int) -> Dict[str, Any]:
    plain = {_key(key): _plain(value, depth + 1) for key, value in members.items()}
    if len(plain) != len(members):
        raise ValueError("two keys of an object are the same text in JSON")
    return plain


def _key(key: Any) -> str:
    if type(key) is str:
        return key
    plain = _plain_scalar(key)
    return plain if isinstance(plain, str) else encode(plain).decode("utf-8")


def _plain_scalar(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return _plain(value.value, 0)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, _DATES):
        return value.isoformat()
    if isinstance(value, _AS_TEXT):
        return str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).decode("utf-8", "replace")
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError("a value of type " + type(value).__name__ + " cannot be saved as JSON") from None
