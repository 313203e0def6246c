"""Steps over JSON in bytes without building its values: any size, little memory, no recursion.

The grammar is RFC 8259 and stricter where a store could not keep the value: no duplicate keys, no lone
surrogates, at most `MAX_DEPTH` containers inside one another. NaN and Infinity are no JSON.
"""

import json
import re
from array import array

MAX_DEPTH = 512

_PLAIN = rb'[^"\\\x00-\x1f]*'
_SCALAR = rb'(?:"' + _PLAIN + rb'"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)'
_SPACE = rb"[ \t\r\n]*"
# The count keeps the regex engine's stack of a repeated group small; the caller goes on where it stopped.
_STRING_BODY = re.compile(
    rb"(?:[^\"\\\x00-\x1f]+|\\(?:[\"\\/bfnrt]|u(?:[0-9a-ce-fA-CE-F][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}"
    rb"|[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}))){1,1000}"
).match
_VALUE = re.compile(_SPACE + rb"(?:(" + _SCALAR + rb')|([{\["]))').match
_SCALARS = re.compile(rb"(?:" + _SPACE + _SCALAR + _SPACE + rb",){1,1000}").match
_MEMBER = re.compile(
    _SPACE + rb'"(' + _PLAIN + rb')"' + _SPACE + rb":" + _SPACE + _SCALAR + _SPACE + rb","
).match
_QUOTE = re.compile(_SPACE + rb'"').match
_COLON = re.compile(_SPACE + rb":").match
_AFTER = re.compile(_SPACE + rb"([,\]}])").match
_BLANKS = re.compile(rb"[ \t\r\n]+").match
_CLOSED = re.compile(_SPACE + rb"[\]}]").match

_QUOTE_BYTE, _OPEN_OBJECT, _COMMA, _CLOSE_OBJECT = b'"{,}'


class JsonError(ValueError):
    """The bytes are no JSON that can be stored; the message says why."""


class Keys:
    """The keys of one object, remembered as 64-bit hashes: a million of them take 8 MiB.

    In an object of a million different keys two share a hash with a chance of 3e-8; it is then refused.
    """

    __slots__ = ("_hashes",)

    def __init__(self) -> None:
        self._hashes = array("q")

    def add(self, raw: bytes) -> None:
        """`raw`: the bytes between the quotes. An escaped letter is the same key as the letter itself."""
        if b"\\" in raw:
            raw = json.loads(b'"' + raw + b'"').encode()
        self._hashes.append(hash(raw))

    def check(self) -> None:
        for part in self._parts():
            if len(set(part)) != len(part):
                raise JsonError("duplicate key")

    def _parts(self) -> list["array[int]"]:
        if len(self._hashes) <= 4096:
            return [self._hashes]
        parts = [array("q") for _ in range(64)]
        for value in self._hashes:
            parts[value & 63].append(value)
        return parts


def skip_space(data: bytes, start: int, end: int) -> int:
    blanks = _BLANKS(data, start, end)
    return blanks.end() if blanks else start


def skip_string(data: bytes, start: int, end: int) -> int:
    """The position after the string whose opening quote is at `start`."""
    position = start + 1
    while body := _STRING_BODY(data, position, end):
        position = body.end()
    if position >= end:
        raise JsonError("it ends inside a string")
    if data[position] != _QUOTE_BYTE:
        raise JsonError("a control character, a wrong escape or a lone surrogate in a string")
    return position + 1


def skip_value(data: bytes, start: int, end: int) -> int:
    """The position after the value that begins at `start` (or after blanks there)."""
    open_containers: list[Keys | None] = []
    position = start
    while True:
        position, opened = _enter(data, position, end, open_containers)
        if not opened:
            position = _leave(data, position, end, open_containers)
            if not open_containers:
                return position
        position = _before_value(data, position, end, open_containers[-1])


def skip_key(data: bytes, start: int, end: int, keys: Keys) -> tuple[int, bytes]:
    """Steps over `"key":`; the position after the colon, and the bytes between the quotes."""
    quote = _QUOTE(data, start, end)
    if quote is None:
        raise JsonError("a key is missing")
    after = skip_string(data, quote.end() - 1, end)
    colon = _COLON(data, after, end)
    if colon is None:
        raise JsonError("a colon is missing")
    key = data[quote.end() : after - 1]
    keys.add(key)
    return colon.end(), key


def _enter(data: bytes, start: int, end: int, open_containers: list[Keys | None]) -> tuple[int, bool]:
    """Steps over a scalar, an empty container (False) or an opening bracket (True)."""
    value = _VALUE(data, start, end)
    if value is None:
        raise JsonError("a value is missing or is not JSON")
    position = value.end()
    if value[1] is not None:
        return position, False
    opening = data[position - 1]
    if opening == _QUOTE_BYTE:
        return skip_string(data, position - 1, end), False
    if len(open_containers) == MAX_DEPTH:
        raise JsonError(f"nested deeper than {MAX_DEPTH}")
    open_containers.append(Keys() if opening == _OPEN_OBJECT else None)
    return position, _CLOSED(data, position, end) is None


def _leave(data: bytes, position: int, end: int, open_containers: list[Keys | None]) -> int:
    """Steps over what follows a value: closing brackets, then a comma, or nothing after the outermost one."""
    while open_containers:
        after = _AFTER(data, position, end)
        if after is None:
            raise JsonError("a comma or a closing bracket is missing")
        position = after.end()
        if data[position - 1] == _COMMA:
            break
        keys = open_containers.pop()
        if (keys is not None) != (data[position - 1] == _CLOSE_OBJECT):
            raise JsonError("brackets do not match")
        if keys is not None:
            keys.check()
    return position


def _before_value(data: bytes, position: int, end: int, keys: Keys | None) -> int:
    """Steps over plain members or elements at the speed of the regex engine, up to a value to look at."""
    if keys is None:
        while run := _SCALARS(data, position, end):
            position = run.end()
        return position
    while member := _MEMBER(data, position, end):
        keys.add(member[1])
        position = member.end()
    return skip_key(data, position, end, keys)[0]
