"""Lines of all tasks of a spider, and of the engine's own log, on a terminal or in a pipe."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from silkmill.cli.known import check_known, split_spider
from silkmill.cli.logprint import Line, LogPrinter, field_text
from silkmill.cli.talk import print_json, say
from silkmill.cli.text import printable
from silkmill.client.client import Client

SHOWN_ID = 8
_KNOWN = ("timestamp", "level", "event", "exception")


def print_search(client: Client, spider: str, *, as_json: bool, count: int | None, **narrowed: Any) -> None:
    """Newest task first; each line behind the end of its task's id and its attempt."""
    printer, found = LogPrinter(), None
    for found in islice(_found(client, **split_spider(spider), **narrowed), count):
        line = Line.of_event(found)
        if as_json:
            print_json({name: found[name] for name in ("task", "attempt", "offset")} | line.value)
        else:
            name = f"{found['task'][-SHOWN_ID:]}.{found['attempt']} "
            sys.stdout.buffer.write(name.encode())  # as the printer does: text has a buffer of its own
            printer.print([replace(line, partial=False)])
    if found is None:
        check_known(client, spider)


def _found(client: Client, spider: str, **which: Any) -> Iterator[dict[str, Any]]:
    cursor: str | None = None
    while True:
        page = client.search_logs(spider, cursor=cursor, **which)
        yield from page["lines"]
        for log in page["unreadable"]:
            say(f"task {log['task']}, attempt {log['attempt']}: {log['detail']}")
        cursor = page["next"]
        if cursor is None:
            return


def print_engine_log(client: Client, *, as_json: bool, count: int | None, **narrowed: Any) -> None:
    rest = b""
    for piece in client.engine_log(tail=count, **narrowed):
        whole, newline, rest = (rest + piece).rpartition(b"\n")
        if as_json:
            sys.stdout.buffer.write(whole + newline)
            continue
        for line in whole.splitlines():
            shown = _engine_line(line)
            print(printable(shown) if sys.stdout.isatty() else shown)
    sys.stdout.flush()


def _engine_line(line: bytes) -> str:
    """Time, level, event, the rest as name=value, a traceback below."""
    text = line.decode("utf-8", "replace")
    try:
        facts = json.loads(text)
        shown = [facts["timestamp"][:19] + "Z", facts["level"].upper(), str(facts["event"])]
        shown += [f"{name}={field_text(value)}" for name, value in facts.items() if name not in _KNOWN]
    except (ValueError, KeyError, TypeError, AttributeError):
        return text
    return "\n".join([" ".join(shown), *([facts["exception"]] if "exception" in facts else [])])
