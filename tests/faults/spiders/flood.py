"""Prints LINES lines of 40 bytes as fast as it can: the number in ten digits, a blank, the same text."""

import os

lines, at_once = int(os.environ["LINES"]), 4096
ending = b" a line of a flood of lines".ljust(29) + b"\n"


def write_all(descriptor, data):
    while data:
        data = data[os.write(descriptor, data) :]


for first in range(0, lines, at_once):
    numbers = range(first, min(lines, first + at_once))
    write_all(1, b"".join([b"%010d" % number + ending for number in numbers]))
