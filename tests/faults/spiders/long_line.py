"""Writes SIZE bytes, or a few more, without a newline, keeps them in RECORD, stays until `<RECORD>.stop`.

OPENING: what they begin with."""

import os
import random
import time

size, record = int(os.environ["SIZE"]), os.environ["RECORD"]
opening = os.environ.get("OPENING", "").encode()
block = random.Random(size).randbytes(64 * 1024).replace(b"\n", b"\0").replace(b"\x1e", b"\r")


def write_all(descriptor, data):
    while data:
        data = data[os.write(descriptor, data) :]


file = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
written = 0
while written < size:
    piece = (opening or b"%d " % written) + block
    opening = b""
    write_all(file, piece)
    write_all(1, piece)
    written += len(piece)
open(record + ".written", "w").close()
while not os.path.exists(record + ".stop"):
    time.sleep(0.01)
