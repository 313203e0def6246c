"""What frames of 8 MiB cost a process, measured in a fresh one: at most 64 MiB more than before."""

import subprocess
import sys
from pathlib import Path

import pytest

import silkmill

LIMIT_MIB = 64
CHILD = """
import sys
sys.path.insert(0, sys.argv[1])
from silkmill.protocol.ipc import Decoder, Items

def peak_kib():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))

def insert(open_, element, count, close):
    yield b'{"type":"INSERT_DATA","payload":' + open_
    for start in range(0, count, 1000):
        yield b"".join(element(n) for n in range(start, start + 1000))
    yield close + b"}\\n"

LETTERS = bytes(set(range(0x20, 0x7F)) - set(b'"\\\\'))

def key(n):
    letters = b""
    while n >= 0:
        letters += LETTERS[n % 93 : n % 93 + 1]
        n = n // 93 - 1
    return letters

def pieces(parts):
    for part in parts:
        last = part.endswith(b"\\n")
        yield b"\\x1enonce " + (b"-" if last else b"+") + b"1-1 " + part.rstrip() + b"\\n"

FRAMES = {
    "keys": lambda: insert(b"{", lambda n: b'"%b":1,' % key(n), 1_000_000, b'"":1}'),
    "top_level_keys": lambda: insert(b"{},", lambda n: b'"%x":1,' % n, 800_000, b'"":1'),
    "items": lambda: insert(b"[", lambda n: b"{},", 2_700_000, b"{}]"),
    "lists": lambda: insert(b'{"a":[', lambda n: b"[],", 2_700_000, b"1]}"),
    "text": lambda: insert(b'{"a":"', lambda n: b"0123456\\xf0\\x9f\\x98\\x80", 750_000, b'"}'),
    "escapes": lambda: insert(b'{"a":"', lambda n: b"\\\\n", 4_000_000, b'"}'),
    "digits": lambda: insert(b'{"a":', lambda n: b"7", 8_000_000, b"}"),
    "pieces": lambda: pieces(insert(b'{"a":"', lambda n: b"1234", 2_000_000, b'"}')),
    "too_large": lambda: insert(b'{"a":"', lambda n: b"0123456789", 5_000_000, b'"}'),
}
decoder = Decoder("nonce", "open")
decoder.feed(b'{"type":"LOG","payload":{}}\\n' + b"x" * 2_000_000 + b"\\n")
before, count, held = peak_kib(), 0, b""
for portion in FRAMES[sys.argv[2]]():
    held += portion
    if len(held) >= 65536:
        count += sum(part.count for part in decoder.feed(held) if isinstance(part, Items))
        held = b""
parts = decoder.feed(held) + decoder.finish()
count += sum(part.count for part in parts if isinstance(part, Items))
print(peak_kib() - before, count, decoder.bad)
"""


@pytest.mark.parametrize(
    "kind, items, bad",
    [
        ("keys", 1, 0),
        ("top_level_keys", 1, 0),
        ("items", 2_700_001, 0),
        ("lists", 1, 0),
        ("text", 1, 0),
        ("escapes", 1, 0),
        ("digits", 1, 0),
        ("pieces", 1, 0),
        ("too_large", 0, 1),
    ],
)
def test_a_large_frame_costs_little(kind, items, bad):
    source = str(Path(silkmill.__file__).parent.parent)
    command = [sys.executable, "-I", "-S", "-c", CHILD, source, kind]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert [int(number) for number in printed[1:]] == [items, bad]
    assert int(printed[0]) / 1024 < LIMIT_MIB, printed
