"""Helps the IPC tests: a whole stream through a decoder, joined so that the portions make no difference."""

from collections.abc import Iterable
from itertools import pairwise

from silkmill.protocol.ipc import Decoder
from silkmill.protocol.ipcparts import Bad, Forged, Items, Part, Text

NONCE = "f0e1d2c3b4a5"
MARK = b"\x1e" + NONCE.encode() + b" "
HELLO = MARK + b'{"type":"HELLO","payload":{"sdk":"test/1"}}\n'


def insert(payload: bytes) -> bytes:
    return b'{"type":"INSERT_DATA","payload":' + payload + b"}"


def portions(stream: bytes, cuts: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(cuts), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


def decode(stream: bytes | list[bytes], mode: str = "open") -> tuple[Decoder, list[Part]]:
    decoder = Decoder(NONCE, mode)
    parts: list[Part] = []
    for portion in [stream] if isinstance(stream, bytes) else stream:
        parts += decoder.feed(portion)
    return decoder, joined(parts + decoder.finish())


def joined(parts: list[Part]) -> list[Part]:
    """Neighbouring texts are one text, neighbouring items one list."""
    result: list[Part] = []
    for part in parts:
        last = result[-1] if result else None
        if isinstance(part, Text) and isinstance(last, Text):
            result[-1] = Text(last.data + part.data)
        elif isinstance(part, Items) and isinstance(last, Items):
            result[-1] = Items(last.lines + part.lines, last.count + part.count)
        else:
            result.append(part)
    return result


def text_of(parts: list[Part]) -> bytes:
    return b"".join(part.data for part in parts if isinstance(part, Text))


def items_of(parts: list[Part]) -> list[bytes]:
    return [item for part in parts if isinstance(part, Items) for item in part.items]


def messages_of(parts: list[Part]) -> list[Part]:
    return [part for part in parts if not isinstance(part, Text | Bad | Forged)]
