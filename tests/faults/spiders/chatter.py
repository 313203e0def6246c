"""Prints items and log lines at a steady rate and keeps a record of its own of all it printed.

RECORD: path prefix; `<prefix>.items` gets each item, `<prefix>.stdout` and `<prefix>.stderr` each log byte.
SECONDS_TO_RUN: how long, at most; it ends earlier once `<prefix>.stop` is there. RATE: items per second."""

import json
import os
import time

prefix = os.environ["RECORD"] + "." + os.environ["SILKMILL_ATTEMPT"]
seconds = float(os.environ.get("SECONDS_TO_RUN", "5"))
rate = int(os.environ.get("RATE", "600"))


def opened(suffix):
    return os.open(prefix + suffix, os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def write_all(descriptor, data):
    while data:
        data = data[os.write(descriptor, data) :]


items, out, err = opened(".items"), opened(".stdout"), opened(".stderr")
start, number, tick = time.monotonic(), 0, 0.01
while time.monotonic() - start < seconds and not os.path.exists(os.environ["RECORD"] + ".stop"):
    due = int((time.monotonic() - start) * rate)
    frames, texts, records = [], [], []
    while number <= due:
        item = json.dumps({"n": number, "text": "item %d é" % number}, ensure_ascii=False)
        frames.append('{"type":"INSERT_DATA","payload":%s}\n' % item)
        texts.append("line %d\n" % number)
        records.append(item + "\n")
        number += 1
    mixed = "".join(frame + text for frame, text in zip(frames, texts))
    write_all(items, "".join(records).encode())
    write_all(out, "".join(texts).encode())
    write_all(1, mixed.encode())
    error = ("tick %d\n" % number).encode()
    write_all(err, error)
    write_all(2, error)
    time.sleep(tick)
with open(prefix + ".done", "w") as file:
    file.write(str(number))
