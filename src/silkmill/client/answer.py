"""What a server answers, as values. A number that Python cannot hold stays text: spiders send any."""

from __future__ import annotations

import json
import math
from typing import Any


def read_object(body: bytes) -> dict[str, Any]:
    """The object in the body of an answer."""
    value: dict[str, Any] = _decode(body.decode())
    return value


def joined(pages: dict[str, Any], following: dict[str, Any]) -> dict[str, Any]:
    """Pages of a list as one; what is no list is that of the last one."""
    return {
        name: pages[name] + value if isinstance(value, list) else value for name, value in following.items()
    }


def _integer(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:  # thousands of digits
        return text


def _number(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


_decode = json.JSONDecoder(parse_int=_integer, parse_float=_number).decode
