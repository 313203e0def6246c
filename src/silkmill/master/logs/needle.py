"""What lines are searched for: plain bytes, or an expression, which other processes try."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import compress
from re import _parser  # type: ignore[attr-defined]
from typing import TypeVar

from silkmill.domain.errors import BadInput
from silkmill.runtime.expressions import Expressions, TooSlow

EXPRESSION_BYTES = 4096
"""Compiling one takes the engine 1 µs a byte."""

Needle = bytes | re.Pattern[bytes]
Value = TypeVar("Value")


def parse_needle(expression: str) -> Needle:
    """What to search for: plain bytes where the expression has nothing special in it. Raises BadInput."""
    text = expression.encode()
    if not _SPECIAL(text):
        return text
    if len(text) > EXPRESSION_BYTES:
        raise _bad_expression(f"it is longer than {EXPRESSION_BYTES} bytes", "search for less")
    try:
        return re.compile(text)
    except re.error as error:
        raise _bad_expression(
            str(error), "put a backslash before .^$*+?{}[]\\|() to mean them literally"
        ) from None
    except (RecursionError, OverflowError):
        raise _bad_expression("it is too deep, or repeats something too often", "search for less") from None


def may_match(needle: Needle | None) -> Callable[[bytes], bool]:
    """Whether a text has the plain bytes. Without any every one does, and those that an expression matches
    are told by `fitting`."""
    if isinstance(needle, bytes):
        return lambda text: needle in text
    return lambda text: True


async def fitting(
    needle: Needle | None,
    values: list[Value],
    text_of: Callable[[Value], bytes],
    expressions: Expressions,
) -> list[Value]:
    """Those whose text an expression matches; all of them if the needle is none.

    Raises BadInput for one that takes too long, and Unavailable."""
    if not isinstance(needle, re.Pattern) or not values:
        return values
    try:
        found = await expressions.matches(needle.pattern, list(map(text_of, values)))
    except TooSlow:
        raise _bad_expression(
            "it is too slow on this log", "make it simpler, or search for a plain word"
        ) from None
    return list(compress(values, found))


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


def _bad_expression(why: str, remedy: str) -> BadInput:
    return BadInput(f"the expression cannot be used: {why}", field="grep", remedy=remedy)
