"""The worst level of the lines in a block of log, so that a search for bad ones passes the good blocks by."""

from __future__ import annotations

from collections.abc import Iterator

from silkmill.protocol.logframe import STDOUT_JSON, SYSTEM, parse_frame
from silkmill.protocol.loglevel import LEVEL_WORDS, TRACEBACK, Level, level_of
from silkmill.protocol.logrecord import parse_record

_WORDS = {level: [word for word, means in LEVEL_WORDS.items() if means is level] for level in Level}
_WORDS[Level.ERROR].append(TRACEBACK.lower())


def worst_level(data: bytes) -> int:
    """No line that begins in these frames has a worse one; 0 when none has any.

    Only lines with a word for a level are looked at, the worst level first: most blocks are done with a few
    scans for words that they do not have."""
    small = data.lower()
    for level in reversed(Level):
        if any(_may_be(line, level) for line in _lines_with(_WORDS[level], data, small)):
            return level
    return Level.INFO if b" %b " % STDOUT_JSON in data else 0  # a message need not name its level


def _lines_with(words: list[bytes], data: bytes, small: bytes) -> Iterator[bytes]:
    for word in words:
        position = 0
        while (found := small.find(word, position)) >= 0:
            end = data.find(b"\n", found)
            position = len(data) if end < 0 else end
            yield data[data.rfind(b"\n", 0, found) + 1 : position]


def _may_be(line: bytes, level: Level) -> bool:
    """A message that was cut is not read: it may be anything."""
    frame = parse_frame(line)
    if frame is None or frame.tag == SYSTEM:
        return False
    if frame.tag != STDOUT_JSON:
        return (level_of(frame.text) or 0) >= level
    record = parse_record(frame.text)
    return record is None or (record.level or 0) >= level
