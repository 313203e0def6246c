"""What lines are searched for: plain bytes, or an expression that cannot keep the engine busy for long."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from re import _parser  # type: ignore[attr-defined]
from typing import Any

from silkmill.domain.errors import BadInput

EXPRESSION_BYTES = 2048
"""An expression sees so much of a line: Python's engine cannot be interrupted inside of one."""
SLOW_SECONDS = 1.0
"""Matching the lines of one window may take so long; a usual expression needs 10 ms."""

Needle = bytes | re.Pattern[bytes]


def parse_needle(expression: str) -> Needle:
    """What to search for: plain bytes where the expression has nothing special in it. Raises BadInput.

    Refused is a repeat inside of a repeat, such as `(a+)+`: one line could keep the engine busy for years."""
    text = expression.encode()
    if not _SPECIAL(text):
        return text
    try:
        if _repeats_a_repeat(_parser.parse(text), repeated=False):
            raise _bad_expression("it repeats a group that has a repeat inside", "leave one of the two out")
        return re.compile(text)
    except re.error as error:
        raise _bad_expression(
            str(error), "put a backslash before .^$*+?{}[]\\|() to mean them literally"
        ) from None
    except (RecursionError, OverflowError):
        raise _bad_expression("it is too deep, or repeats something too often", "search for less") from None


def matcher(needle: Needle | None) -> Callable[[bytes], bool]:
    """Whether a text matches; without a needle every one does."""
    if needle is None:
        return lambda text: True
    if isinstance(needle, bytes):
        return lambda text: needle in text
    return lambda text: needle.search(text, 0, EXPRESSION_BYTES) is not None


class Patience:
    """Ends the search of an expression that takes too long on the lines of one window."""

    def __init__(self) -> None:
        self._end = time.monotonic() + SLOW_SECONDS

    def check(self) -> None:
        """To be called after each line. Raises BadInput."""
        if time.monotonic() > self._end:
            raise _bad_expression("it is too slow on this log", "make it simpler, or search for a plain word")


def required(needle: Needle | None) -> bytes:
    """Text that is in every match: the longest run of plain bytes; nothing when letter case is free."""
    if needle is None:
        return b""
    if isinstance(needle, bytes):
        return needle
    if needle.flags & re.IGNORECASE:
        return b""
    runs = [b""]
    for operator, argument in _parser.parse(needle.pattern, needle.flags):
        plain = operator is _parser.LITERAL
        runs = [*runs[:-1], runs[-1] + bytes([argument])] if plain else [*runs, b""]
    return max(runs, key=len)


_SPECIAL = re.compile(rb"[.^$*+?{}\[\]\\|()]").search


def _repeats_a_repeat(parsed: Any, *, repeated: bool) -> bool:
    for operator, argument in parsed:
        repeats = operator in (_parser.MAX_REPEAT, _parser.MIN_REPEAT)
        varies = repeats and argument[0] != argument[1]
        if varies and repeated:
            return True
        inside = repeated or (repeats and argument[1] > 1)
        if any(_repeats_a_repeat(part, repeated=inside) for part in _parts_of(argument)):
            return True
    return False


def _parts_of(argument: Any) -> Iterator[Any]:
    """The patterns inside an operator's argument, however deep its tuples and lists are."""
    if isinstance(argument, _parser.SubPattern):
        yield argument
    elif isinstance(argument, tuple | list):
        for item in argument:
            yield from _parts_of(item)


def _bad_expression(why: str, remedy: str) -> BadInput:
    return BadInput(f"the expression cannot be used: {why}", field="grep", remedy=remedy)
