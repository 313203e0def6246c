"""The level of a log line, by the forms in which programs write it at the beginning of one."""

from __future__ import annotations

import re
from enum import IntEnum


class Level(IntEnum):
    """A higher one is worse."""

    DEBUG = 1
    INFO = 2
    WARNING = 3
    ERROR = 4
    CRITICAL = 5


LEVEL_NAMES = tuple(level.name.lower() for level in Level)

LEVEL_WORDS = {
    b"trace": Level.DEBUG,
    b"debug": Level.DEBUG,
    b"info": Level.INFO,
    b"notice": Level.INFO,
    b"success": Level.INFO,
    b"warn": Level.WARNING,
    b"warning": Level.WARNING,
    b"err": Level.ERROR,
    b"error": Level.ERROR,
    b"severe": Level.ERROR,
    b"alert": Level.CRITICAL,
    b"crit": Level.CRITICAL,
    b"critical": Level.CRITICAL,
    b"emerg": Level.CRITICAL,
    b"fatal": Level.CRITICAL,
    b"panic": Level.CRITICAL,
}
"""What programs call a level, in letters of any case."""

TRACEBACK = b"Traceback (most recent call last):"
"""A line with a level has this or one of the words in it."""

HEAD_BYTES = 256
"""A line says its level in so many bytes or not at all."""

# {level} is a word of any case, where the signs around it leave no doubt; {LEVEL} one in capitals. All
# repeats are counted, so that no line takes long.
_FORMS = (
    rb"{level}:",  # ERROR:root:text, as Python by default; error: text
    rb"{LEVEL}(?:\s|$)",  # ERROR text
    rb"\[ ?{level} {0,8}\]",  # [ERROR] text
    rb"{name} - {LEVEL} - ",  # name - ERROR - text
    rb"{time}(?: [|-])?(?: \[{name}\])? \[ ?{level} {0,8}\]",  # time [ERROR] text; time [pid] [ERROR] text
    rb"{time}(?: [|-])? {LEVEL}",  # time ERROR text; time | ERROR    | text
    rb"{time} \[?{name}\]? {LEVEL}",  # time [name] ERROR: text, as Scrapy; time name ERROR text
    rb"{time} - {name} - {LEVEL}",  # time - name - ERROR - text
    rb"[ |+]{0,32}(?:Exception Group )?(Traceback) \(most recent call last\):",
)
_PLACES = {
    b"{time}": rb"\[?(?:\d{4}[-/]\d\d[-/]\d\d[T ])?\d\d:\d\d:\d\d(?:[.,]\d{1,9})?"
    rb"(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?\]?",
    b"{name}": rb"[^\s\[\]|]{1,100}",
    b"{level}": rb"((?i:" + b"|".join(LEVEL_WORDS) + rb"))(?!\w)",
    b"{LEVEL}": rb"(" + b"|".join(LEVEL_WORDS).upper() + rb")(?!\w)",
}
_COLOUR = re.compile(rb"\x1b\[[0-9;]{0,16}m")


def _compiled() -> re.Pattern[bytes]:
    forms = b"|".join(_FORMS)
    for place, pattern in _PLACES.items():
        forms = forms.replace(place, pattern)
    return re.compile(forms)


_find = _compiled().match


def level_named(word: bytes) -> Level | None:
    return LEVEL_WORDS.get(word.strip().lower())


def level_of(text: bytes) -> Level | None:
    """The level that a line of a program says at its beginning, colours or not. A traceback is an error."""
    head = text[:HEAD_BYTES]
    if b"\x1b" in head:
        head = _COLOUR.sub(b"", head)
    found = _find(head)
    return LEVEL_WORDS.get(found[found.lastindex or 0].lower(), Level.ERROR) if found else None


class Levels:
    """The levels of the lines of one stream, in order: a line that continues another one has its level.

    So do indented and empty lines, the pieces of a line that was cut, and a traceback to its last line, which
    is an error at least. Any other line without a level of its own ends what went before."""

    def __init__(self) -> None:
        self.level: Level | None = None
        """Of the last line, which the next one may continue."""
        self._in_traceback = False
        self._cut = False

    def of(self, text: bytes, *, partial: bool) -> Level | None:
        """`partial`: the line goes on in the next text, or the stream has ended."""
        if not self._cut:
            self._begin(text)
        self._cut = partial
        return self.level

    def _begin(self, text: bytes) -> None:
        own = level_of(text)
        if own is not None and TRACEBACK in text[:HEAD_BYTES]:
            self.level, self._in_traceback = max(own, self.level or own), True
        elif own is not None:
            self.level, self._in_traceback = own, False
        elif text[:1].isspace() or not text or text.startswith(_CHAINED):
            return
        elif self._in_traceback:
            self._in_traceback = False  # its last line: the exception
        else:
            self.level = None


_CHAINED = (b"During handling of the above exception", b"The above exception was the direct cause")
