"""A task's log on a terminal or in a pipe."""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import click

from silkmill.cli.talk import discard_stdout, print_json, say
from silkmill.cli.text import printable
from silkmill.protocol.logframe import Frame, parse_frames

_PLAIN = re.compile(r"[^\s\"'=\\\x00-\x1f]+\Z").match


@dataclass(frozen=True, slots=True)
class Line:
    """One frame. `text` is without the newline, which `partial` says was not there."""

    time: str
    stream: str
    partial: bool
    text: bytes

    @classmethod
    def of_event(cls, value: dict[str, Any]) -> Line:
        encoded = value.get("base64")
        text = base64.b64decode(encoded) if encoded is not None else value["text"].encode()
        return cls(value["time"], value["stream"], value["partial"], text)

    @classmethod
    def of_frame(cls, frame: Frame) -> Line:
        return cls(frame.time.decode(), frame.tag.decode(), frame.partial, frame.text)

    @property
    def value(self) -> dict[str, Any]:
        text = self.text.decode("utf-8", "replace")
        return {"time": self.time, "stream": self.stream, "partial": self.partial, "text": text}


def read_lines(pieces: Iterable[bytes]) -> Iterator[Line]:
    """Lines of stored frames that come in pieces of any size."""
    rest = b""
    for piece in pieces:
        whole, newline, rest = (rest + piece).rpartition(b"\n")
        for frame in parse_frames(whole + newline):
            yield Line.of_frame(frame)


class LogPrinter:
    """Writes lines to stdout. On a terminal control characters are shown, not obeyed, unless `raw`.

    `raw` gives the spider's bytes: no line of the engine, no message that was taken out of the stream.
    `engine_apart` sends the engine's lines to stderr, with the rest of the talk; then a reader that has
    enough, as `head` has, ends the output only: the task goes on, and its exit code is still wanted."""

    def __init__(self, *, raw: bool = False, as_json: bool = False, engine_apart: bool = False) -> None:
        self._raw, self._json, self._apart = raw, as_json, engine_apart
        self._out = sys.stdout.buffer
        self._neutral = sys.stdout.isatty() and not raw
        self._message = b""
        self._colours = sys.stdout.isatty() and not raw

    def print(self, lines: Iterable[Line]) -> None:
        try:
            for line in lines:
                self._print(line)
            self._out.flush()
        except BrokenPipeError:
            if not self._apart:
                raise
            discard_stdout()

    def _print(self, line: Line) -> None:
        if self._json:
            print_json(line.value)
        elif line.stream == "system":
            self._print_engine_line(line)
        elif line.stream != "stdout/json":
            self._write(line.text, newline=not line.partial)
        elif not self._raw:
            self._print_message(line)

    def _print_engine_line(self, line: Line) -> None:
        text = "[silkmill] " + line.text.decode("utf-8", "replace")
        if self._apart:
            say(text)
        elif not self._raw:
            shown = click.style(printable(text), dim=True) if self._colours else text
            self._out.write(shown.encode() + b"\n")

    def _print_message(self, line: Line) -> None:
        """A long one comes in several lines."""
        self._message += line.text
        if not line.partial:
            self._write(_message(line.time, self._message), newline=True)
            self._message = b""

    def _write(self, text: bytes, *, newline: bool) -> None:
        shown = printable(text.decode("utf-8", "replace")).encode() if self._neutral else text
        self._out.write(shown + b"\n" if newline else shown)


def _message(time: str, text: bytes) -> bytes:
    """A LOG message as a line: time, level, message, fields."""
    try:
        value = json.loads(text)
        parts = [time[:19] + "Z", str(value.get("level") or "info").upper(), str(value.get("message") or "")]
        parts += [f"{name}={field_text(field)}" for name, field in (value.get("fields") or {}).items()]
    except (ValueError, AttributeError):
        return text
    return " ".join(parts).encode("utf-8", "replace")


def field_text(value: Any) -> str:
    """A plain word as it is, everything else as JSON."""
    plain = isinstance(value, str) and _PLAIN(value)
    return str(value) if plain else json.dumps(value, ensure_ascii=False)
