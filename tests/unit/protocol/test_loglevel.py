"""Levels of lines: a corpus of what programs write, and which lines belong to the one before."""

from __future__ import annotations

import time

import pytest

from silkmill.protocol.loglevel import LEVEL_NAMES, Level, Levels, level_of
from silkmill.protocol.logrecord import parse_record

CORPUS = {
    # Python logging: the default, basicConfig, the formats of its documentation and of frameworks
    "WARNING:root:look out": "warning",
    "ERROR:my.module:failed": "error",
    "2026-01-01 00:00:00,123 ERROR failed": "error",
    "2026-01-01 00:00:00,123 - my.module - CRITICAL - failed": "critical",
    "2026-01-01 00:00:00,123 my.module DEBUG details": "debug",
    "2026-01-01 00:00:00,123 [INFO] my.module: text": "info",
    "2026-01-01 00:00:00,123:my.module": None,
    "my.module - WARNING - text": "warning",
    "[2026-01-01 00:00:00,123] ERROR in app: Exception on / [GET]": "error",
    "[2026-01-01 00:00:00 +0000] [4711] [INFO] Booting worker": "info",
    "INFO:     127.0.0.1:5000 - GET / HTTP/1.1": "info",
    "12:00:00 WARNING text": "warning",
    "12:00:00.123 | ERROR    | text": "error",
    "2026-01-01 00:00:00.123 | SUCCESS  | module:function:1 - text": "info",
    "2026-01-01T00:00:00Z [error    ] text   key=value": "error",
    "2026-01-01T00:00:00.123456+01:00 FATAL text": "critical",
    "2026/01/01 00:00:00 ERROR text": "error",
    # Scrapy
    "2026-01-01 00:00:00 [scrapy.core.engine] INFO: Spider opened": "info",
    "2026-01-01 00:00:00 [scrapy.core.scraper] ERROR: Spider error processing <GET x>": "error",
    "2026-01-01 00:00:00 [news] DEBUG: text": "debug",
    # common
    "ERROR text": "error",
    "ERROR": "error",
    "WARN  text": "warning",
    "[ERROR] text": "error",
    "[warn] text": "warning",
    "[ INFO ] text": "info",
    "error: text": "error",
    "Warning: text": "warning",
    "panic: runtime error": "critical",
    "\x1b[31mERROR\x1b[0m text": "error",
    "2026-01-01 00:00:00 [\x1b[31m\x1b[1merror    \x1b[0m] text": "error",
    "Traceback (most recent call last):": "error",
    "  + Exception Group Traceback (most recent call last):": "error",
    # none
    "": None,
    "hello": None,
    "Error loading the page": None,
    "error in page 3": None,
    "ERRORS: 5": None,
    "INFORMATION about": None,
    "no ERROR at the beginning": None,
    "<p>ERROR</p>": None,
    '{"level": "error"}': None,
    "https://example.com/error": None,
    "Traceback": None,
    "2026-01-01 00:00:00 found an ERROR page": None,
}


@pytest.mark.parametrize("line", CORPUS)
def test_the_level_of_a_line(line: str) -> None:
    expected = CORPUS[line]
    assert level_of(line.encode()) == (Level[expected.upper()] if expected else None)


def test_names_are_those_of_python_in_order() -> None:
    assert LEVEL_NAMES == ("debug", "info", "warning", "error", "critical")


RECORDS = """\
hello                                                                   |
ERROR:root:failed                                                       | error
Traceback (most recent call last):                                      | error
  File "x.py", line 1, in <module>                                      | error
    1 / 0                                                               | error
ZeroDivisionError: division by zero                                     | error
                                                                        | error
During handling of the above exception, another exception occurred:     | error
                                                                        | error
Traceback (most recent call last):                                      | error
  File "x.py", line 3, in <module>                                      | error
KeyError: 'x'                                                           | error
hello again                                                             |
  indented                                                              |
INFO:root:a dictionary                                                  | info
  {'a': 1}                                                              | info
{'b': 1}                                                                |
CRITICAL:root:with its traceback                                        | critical
Traceback (most recent call last):                                      | critical
ValueError                                                              | critical
INFO:root:before a crash                                                | info
Traceback (most recent call last):                                      | error
  File "x.py", line 5, in <module>                                      | error
RuntimeError: boom                                                      | error
DEBUG:root:next                                                         | debug
"""


def test_lines_that_continue_another() -> None:
    levels = Levels()
    for row in RECORDS.splitlines():
        text, _, expected = (part.rstrip() for part in row.rpartition("|"))
        level = levels.of(text.encode(), partial=False)
        assert (level.name.lower() if level else "") == expected.strip(), row


def test_pieces_of_a_cut_line_have_its_level() -> None:
    levels = Levels()
    given = [(b"ERROR x", True), (b"INFO x", True), (b"y", False), (b"z", False)]
    assert [levels.of(text, partial=partial) for text, partial in given] == [Level.ERROR] * 3 + [None]


@pytest.mark.parametrize("line", [b" " * 10**6, b"[" * 10**6, b"2026-01-01 " * 10**5, b"\x1b[" * 10**5])
def test_no_line_takes_long(line: bytes) -> None:
    begun = time.process_time()
    for _ in range(100):
        level_of(line)
    assert time.process_time() - begun < 1.0


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ('{"level": "WARN", "message": "x"}', Level.WARNING),
        ('{"message": "x"}', Level.INFO),
        ('{"level": null}', Level.INFO),
        ('{"level": "loud"}', None),
        ('{"level": 40}', None),
    ],
)
def test_the_level_of_a_message(text: str, level: Level | None) -> None:
    record = parse_record(text.encode())
    assert record is not None
    assert record.level == level


@pytest.mark.parametrize("text", [b"", b"[]", b'{"level": "error', b"\xff", b'{"a":' * 100_000])
def test_what_is_no_message(text: bytes) -> None:
    assert parse_record(text) is None


def test_fields_are_compared_as_they_were_written() -> None:
    digits = "1" * 5000
    fields = '{"site": "x", "page": 3, "price": 1.50, "ok": true, "none": null, "list": [1], "long": %s}'
    record = parse_record(b'{"fields": %b}' % (fields % digits).encode())
    assert record is not None
    for name, value in (("site", "x"), ("page", "3"), ("price", "1.50"), ("ok", "true"), ("long", digits)):
        assert record.has(name, value)
    assert record.has("none", "null")
    assert not any(record.has(*pair) for pair in (("site", "y"), ("list", "[1]"), ("other", "x")))
