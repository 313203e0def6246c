"""One IPC frame, `{"type": T, "payload": P}`: from its bytes to a message.

Crawlab's dialect is understood too: with `"ipc": true` the type may be missing, empty, `data` or
`insert_data`.
"""

import json
import re
from collections.abc import Callable

from silkmill.protocol.ipcparts import Error, Hello, Items, Log, Part, Status
from silkmill.protocol.jsonscan import OPEN_LIST, OPEN_OBJECT, Scanner
from silkmill.protocol.jsontokens import JsonError

MAX_SMALL_PAYLOAD = 64 * 1024  # of STATUS, ERROR and HELLO, which their readers hold as values
_KNOWN = frozenset(("INSERT_DATA", "STATUS", "ERROR", "LOG", "HELLO"))
_INSERT_ALIASES = frozenset(("", "data", "insert_data"))
_EMPTY = frozenset((b"", b"null", b'""'))

# What a line must hold to be examined at all, and to count as a bad frame when it turns out to be no JSON.
LOOKS_LIKE_A_FRAME = re.compile(
    rb'"type"[ \t\r]*:[ \t\r]*"(?:INSERT_DATA|STATUS|ERROR|LOG|HELLO)"|"ipc"[ \t\r]*:[ \t\r]*true'
)


class BadFrame(ValueError):
    """A frame that cannot be taken; the message says why."""


class ItemLines:
    """Gathers items as lines, so that millions of small ones cost little more than their bytes."""

    __slots__ = ("_blocks", "_lines", "count")

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._lines: list[bytes] = []
        self.count = 0

    def add(self, item: bytes) -> None:
        self._lines.append(item)
        self.count += 1
        if len(self._lines) == 4096:
            self._pack()

    def _pack(self) -> None:
        self._lines.append(b"")
        self._blocks.append(b"\n".join(self._lines))
        self._lines = []

    def to_items(self) -> Items:
        if self._lines:
            self._pack()
        return Items(self._blocks[0] if len(self._blocks) == 1 else b"".join(self._blocks), self.count)


class _Envelope:
    """The members of a frame that mean something; others are ignored."""

    def __init__(self, data: bytes, start: int, end: int) -> None:
        self._data = data
        self.kind: str | None = ""
        self.dialect = False
        self.payload: tuple[int, int] | None = None
        self.elements: ItemLines | None = None  # of a payload that is a list
        self.only_objects = True
        self._scanner = Scanner(data, start, end)
        for key in self._scanner.members():
            self._read_member(key)
        self._scanner.finish()

    def _read_member(self, key: bytes) -> None:
        if key == b"payload" and self._scanner.peek() == OPEN_LIST:
            self._read_elements()
            return
        start, end = self._scanner.skip()
        if key == b"payload":
            self.payload = start, end
        elif key == b"type":
            self.kind = _type_name(self._data[start:end] if end - start <= 100 else b"")
        elif key == b"ipc":
            self.dialect = self._data[start:end] == b"true"

    def _read_elements(self) -> None:
        first, self.elements = self._scanner.position, ItemLines()
        for start, end in self._scanner.elements():
            self.only_objects = self.only_objects and self._data[start] == OPEN_OBJECT
            self.elements.add(self._data[start:end])
        self.payload = first, self._scanner.position

    def is_object(self) -> bool:
        return self.payload is not None and self._data[self.payload[0]] == OPEN_OBJECT

    def payload_bytes(self) -> bytes:
        return self._data[slice(*self.payload)] if self.payload else b""


def read_frame(data: bytes, start: int, end: int, with_nonce: bool) -> Part | None:
    """The message in `data[start:end]`; None if it is text after all, because its type is unknown.

    Raises `BadFrame`. A line without the nonce that is a JSON object but lacks a payload is text as well:
    programs log JSON with a member `type` too.
    """
    try:
        envelope = _Envelope(data, start, end)
        kind = _kind(envelope)
        if kind is None or (envelope.payload is None and not envelope.dialect and not with_nonce):
            return None
        return _READERS[kind](envelope)
    except JsonError as error:
        raise BadFrame(str(error)) from None


def _kind(envelope: _Envelope) -> str | None:
    if envelope.dialect and (envelope.kind is None or envelope.kind in _INSERT_ALIASES):
        return "INSERT_DATA"
    return envelope.kind if envelope.kind in _KNOWN else None


def _read_items(envelope: _Envelope) -> Items:
    if envelope.elements is not None:
        if not envelope.only_objects:
            raise BadFrame("an item is not a JSON object")
        return envelope.elements.to_items()
    if envelope.payload_bytes() in _EMPTY:
        return Items(b"", 0)
    if not envelope.is_object():
        raise BadFrame("the payload of INSERT_DATA is neither an object nor a list of objects")
    return Items(envelope.payload_bytes() + b"\n", 1)


def _read_status(envelope: _Envelope) -> Status:
    payload = _small_object("STATUS", envelope)
    progress = _members(payload, b"progress").get(b"progress", b"")
    return Status(payload, _ratio(progress))


def _read_error(envelope: _Envelope) -> Error:
    members = _members(_small_object("ERROR", envelope), b"class", b"message", b"fatal")
    fatal = members.get(b"fatal", b"false")
    if fatal not in (b"true", b"false", b"null"):
        raise BadFrame("fatal of ERROR is neither true nor false")
    return Error(_text("class", members), _text("message", members), fatal == b"true")


def _read_log(envelope: _Envelope) -> Log:
    if not envelope.is_object():
        raise BadFrame("the payload of LOG is not an object")
    return Log(envelope.payload_bytes())


def _read_hello(envelope: _Envelope) -> Hello:
    return Hello(_text("sdk", _members(_small_object("HELLO", envelope), b"sdk")))


_READERS: dict[str, Callable[[_Envelope], Part]] = {
    "INSERT_DATA": _read_items,
    "STATUS": _read_status,
    "ERROR": _read_error,
    "LOG": _read_log,
    "HELLO": _read_hello,
}


def _small_object(kind: str, envelope: _Envelope) -> bytes:
    if not envelope.is_object():
        raise BadFrame(f"the payload of {kind} is not an object")
    payload = envelope.payload_bytes()
    if len(payload) > MAX_SMALL_PAYLOAD:
        raise BadFrame(f"the payload of {kind} is larger than 64 KiB")
    return payload


def _members(payload: bytes, *wanted: bytes) -> dict[bytes, bytes]:
    """The raw values of the wanted members of a small object."""
    scanner = Scanner(payload, 0, len(payload))
    found = {}
    for key in scanner.members():
        start, end = scanner.skip()
        if key in wanted:
            found[key] = payload[start:end]
    return found


def _text(name: str, members: dict[bytes, bytes]) -> str:
    raw = members.get(name.encode(), b"null")
    if raw == b"null":
        return ""
    if not raw.startswith(b'"'):
        raise BadFrame(f"{name} is not a string")
    return str(json.loads(raw))


def _type_name(raw: bytes) -> str | None:
    """A string; None for any other value."""
    return str(json.loads(raw)) if raw.startswith(b'"') else None


def _ratio(raw: bytes) -> float | None:
    """A number from 0 to 1, else None."""
    if not raw[:1].isdigit():
        return None
    number = float(raw)
    return number if number <= 1 else None
