"""Fuzzes the decoder: it never fails, makes up no byte, and takes exactly what the rules say.

SILKMILL_FUZZ_EXECS sets the number of streams (20,000 by default).
"""

import json
import os
import random
import re

from ipc_stream import HELLO, MARK, NONCE, decode, insert, items_of, messages_of, text_of

EXECS = int(os.environ.get("SILKMILL_FUZZ_EXECS", "20000"))
SEEDS = [
    insert(b'{"a":1,"b":[true,false,null,-1.5e+10,""],"c":{"d":"\\u00e9\\n\\ud83d\\ude00"}}'),
    insert('[{"ü":"ö"},{"a":"\\u00e9"},{}]'.encode()),
    insert(b'{"a":"' + b"x" * 300 + b'","b":' + b"7" * 300 + b"}"),
    insert(b'{"a":' + b"[" * 60 + b"]" * 60 + b"}"),
    b'{"payload":{"level":"info","fields":{"a":[1]}},"type":"LOG"}',
    b'{"type":"data","payload":[{"x":1}],"ipc":true}',
    b'{"type":"STATUS","payload":{"progress":0.5,"n":1}}',
    b'{"type":"ERROR","payload":{"class":"E","message":"m","fatal":false}}',
    HELLO[:-1],
    MARK + insert(b'{"a":1}'),
    MARK + b"+1-1 " + insert(b'{"a":1}')[:20],
    MARK + b"-1-1 " + insert(b'{"a":1}')[20:],
    b"\x1e" + NONCE[1:].encode() + b" " + insert(b'{"a":1}'),
    b'{"level":"info","type":"x"}',
]
TOKENS = [
    *(bytes([byte]) for byte in b'{}[],:"\\\n\r \x1e\x00\xff0-'),
    *(
        b"\\u",
        b"\\ud800",
        b"\\udc00",
        b"\xc3\xa9",
        b"\xed\xa0\x80",
        b"NaN",
        b"Infinity",
        b"1e999",
        b"9" * 5000,
    ),
    *(b"true", b"null", b'"a":1,', b'"type":"LOG",', b'"ipc":true,', b"[" * 2000, b'{"a":' * 600),
    *(MARK, MARK[:-3]),
]


def mutate(chance: random.Random, line: bytes) -> bytes:
    for _ in range(chance.choice((0, 1, 1, 2, 4))):
        at, span = chance.randrange(len(line) + 1), chance.choice((0, 0, 1, 1, 3, 20))
        new = chance.choice((b"", chance.choice(TOKENS), chance.randbytes(1)))
        line = line[:at] + new + line[at + span :]
    return line


def fuzz_stream(chance: random.Random) -> bytes:
    lines = [mutate(chance, chance.choice(SEEDS)) for _ in range(chance.randrange(1, 6))]
    return b"".join(line + chance.choice((b"\n", b"\n", b"\n", b"", b"\r\n")) for line in lines)


def test_no_stream_breaks_the_decoder():
    chance = random.Random(20261124)
    for number in range(EXECS):
        stream = fuzz_stream(chance)
        size = chance.choice((1, 13, 100, 1 << 20))
        portions = [stream[at : at + size] for at in range(0, len(stream), size)]
        _, parts = decode(portions, chance.choice(("open", "open", "strict")))
        for item in items_of(parts):
            assert item in stream or MARK + b"+" in stream, (number, stream)
            read_strictly(item)
        if MARK + b"+" not in stream:
            assert is_within(text_of(parts), stream), (number, stream)


def test_a_plain_frame_is_taken_if_and_only_if_the_rules_say_so():
    chance = random.Random(42)
    taken = 0
    for number in range(EXECS):
        line = mutate(chance, chance.choice(SEEDS[:5]))
        if b"\n" in line or b"\x1e" in line:
            continue
        _, parts = decode(line + b"\n")
        expected = says_something(line)
        assert (messages_of(parts) != []) == expected, (number, line, parts)
        assert not expected or text_of(parts) == b""
        taken += expected
    assert taken > EXECS // 20


def is_within(part: bytes, whole: bytes) -> bool:
    """Whether `part` is `whole` with some bytes left out."""
    rest = iter(whole)
    return all(byte in rest for byte in part)


def says_something(line: bytes) -> bool:
    """Whether this line is a frame with a message in it, read by the letter of the rules."""
    try:
        frame = read_strictly(line.lstrip(b" \t").rstrip(b" \t\r"))
    except ValueError:
        return False
    if not isinstance(frame, dict) or not line.lstrip(b" \t").startswith(b"{"):
        return False
    payload, kind = frame.get("payload"), frame.get("type")
    if kind == "INSERT_DATA" or (frame.get("ipc") is True and kind in (None, "")):
        items = payload if isinstance(payload, list) else [payload]
        return bool(items) and all(isinstance(item, dict) and depth(item) <= 512 for item in items)
    return kind in ("LOG", "STATUS", "ERROR") and isinstance(payload, dict) and depth(payload) <= 512


def depth(value: object) -> int:
    deepest = level = 0
    for bracket in re.findall(r"[\[\]{}]", re.sub(r'"(?:[^"\\]|\\.)*"', "", json.dumps(value))):
        level += 1 if bracket in "[{" else -1
        deepest = max(deepest, level)
    return deepest


def read_strictly(data: bytes) -> object:
    def pairs(members):
        if len({key for key, _ in members}) != len(members):
            raise ValueError("duplicate key")
        return dict(members)

    def constant(name):
        raise ValueError(name)

    try:
        value = json.loads(data.decode(), object_pairs_hook=pairs, parse_constant=constant, parse_int=str)
    except RecursionError:
        raise ValueError("too deep") from None
    json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate fails here
    return value
