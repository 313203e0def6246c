"""The program that both sides of the log and item rows run: `producer.py lines|items COUNT`."""

from __future__ import annotations

import sys

LINE = b"2026-03-01 12:00:00 [crawl] INFO: fetched a page that is as long as the lines of a usual spider are"
BLOCK = 500


def lines(count: int) -> None:
    """Lines of 100 bytes, newline included."""
    block = (LINE[:99] + b"\n") * BLOCK
    for _ in range(count // BLOCK):
        sys.stdout.buffer.write(block)


def items(count: int) -> None:
    for number in range(count):
        sys.stdout.write(
            f'{{"type":"INSERT_DATA","payload":{{"url":"https://shop.example/product/{number}",'
            f'"title":"Product number {number}","price":{number % 977}.5,"tags":["new","sale"]}}}}\n'
        )


if __name__ == "__main__":
    {"lines": lines, "items": items}[sys.argv[1]](int(sys.argv[2]))
