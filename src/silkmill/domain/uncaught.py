"""The exceptions of which a Python program died, as its last traceback names them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_HEADER = "Traceback (most recent call last):"
_GROUP_HEADER = "  + Exception Group " + _HEADER
# "  +-+---- 1 ----" goes one level down, "    +---- 2 ----" is a neighbour, "    +--------" is the end.
_SEPARATOR = re.compile(r" +(\+-)?\+-{10,}(?: \S+ -{10,})?$")
_IN_GROUP = re.compile(r" +\| (\S.*)$")


@dataclass(frozen=True, slots=True)
class Uncaught:
    """`line` names the exception that ended the program. `causes` are the lines of what it consists of:
    itself, or those in an exception group, however deep."""

    line: str
    causes: tuple[str, ...]


def uncaught_in(traceback: str) -> Uncaught | None:
    """None where no line names an exception. Of a chain it is the last one."""
    lines = _after_last_header(traceback.splitlines())
    if lines and lines[0] == _GROUP_HEADER:
        return _of_group(lines)
    named = next((line for line in lines[1:] if line.strip() and not line[0].isspace()), None)
    return None if named is None else Uncaught(named, (named,))


def _after_last_header(lines: list[str]) -> list[str]:
    headers = [n for n, line in enumerate(lines) if line.rstrip() in (_HEADER, _GROUP_HEADER)]
    return lines[headers[-1] :] if headers else []


def _of_group(lines: list[str]) -> Uncaught | None:
    """The lines between two separators are of one exception; of a group where the second goes down."""
    parts: list[list[str]] = [[]]
    groups = set()
    for line in lines[1:]:
        if separator := _SEPARATOR.match(line):
            if separator[1]:
                groups.add(len(parts) - 1)
            parts.append([])
        else:
            parts[-1].append(line)
    named = [(n, name) for n, part in enumerate(parts) if (name := _named_in(part))]
    if not named:
        return None
    return Uncaught(named[0][1], tuple(name for n, name in named if n not in groups))


def _named_in(part: list[str]) -> str | None:
    """Behind the last of the tracebacks, which may be a chain, in one part of a group."""
    start = max((n for n, line in enumerate(part) if line.endswith(_HEADER)), default=-1) + 1
    return next((found[1] for line in part[start:] if (found := _IN_GROUP.match(line))), None)
