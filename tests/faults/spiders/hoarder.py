"""Prints ITEMS items at RATE a second, one a frame or many, small and large, and keeps each in a record.

RECORD: path prefix; `<prefix>.<attempt>` gets each item on a line, before it is printed. SEED: of the sizes.
LARGE: how many items of some MiB there are among them."""

import json
import os
import random
import time

record = "%s.%s" % (os.environ["RECORD"], os.environ["SILKMILL_ATTEMPT"])
count, rate, large = (int(os.environ[name]) for name in ("ITEMS", "RATE", "LARGE"))
chance = random.Random(int(os.environ["SEED"]))
text = "silk é 漢字 " * 40
page = "p" * (3 << 20)
large_ones = {count * (number + 1) // (large + 1) for number in range(large)}
file = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def write_all(descriptor, data):
    while data:
        data = data[os.write(descriptor, data) :]


def item_of(number):
    body = page if number in large_ones else text[: chance.randrange(len(text))]
    return json.dumps({"n": number, "text": body}, ensure_ascii=False)


def framed(items):
    """One alone, more as a list."""
    payload = items[0] if len(items) == 1 else "[%s]" % ",".join(items)
    return '{"type":"INSERT_DATA","payload":%s}\n' % payload


start, number = time.monotonic(), 0
while number < count:
    due = min(count, 1 + int((time.monotonic() - start) * rate))
    kept, printed = [], []
    while number < due:
        size = min(due - number, chance.choice((1, 1, 1, 2, 10, 100)))
        items = [item_of(one) for one in range(number, number + size)]
        kept += items
        printed.append(framed(items))
        number += size
    write_all(file, "".join(item + "\n" for item in kept).encode())
    write_all(1, "".join(printed).encode())
    time.sleep(0.01)
