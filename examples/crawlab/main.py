"""A spider as its author wrote it for Crawlab: nothing in it knows of Silkmill.

It saves one item of each kind that people save, and those that Crawlab itself loses. Two commands run it:

    silkmill run examples/crawlab
    silkmill items last --with-ids
"""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from decimal import Decimal

from crawlab import save_item

LONG = "ä long text, " * 10_000


def main() -> None:
    print("task", os.environ.get("CRAWLAB_TASK_ID", "none"))
    save_item({"kind": "text", "value": "naïve — “quoted”\n\ttwo lines"})
    save_item({"kind": "time", "value": datetime(2026, 3, 1, 12, 30, 15, 250_000), "day": date(2026, 3, 1)})
    save_item({"kind": "time with its zone", "value": datetime(2026, 3, 1, 12, 30, tzinfo=UTC)})
    save_item({"kind": "price", "value": Decimal("1234.50"), "none": None, "sold": False})
    save_item({"kind": "bytes", "value": "café".encode()})
    save_item({"kind": "no number", "value": float("nan"), "most": float("inf")})
    save_item({"kind": "set", "value": {7}, "pair": (1, 2)})
    save_item({"kind": "int keys", "value": {1: "one", 2: {3: "three"}}})
    save_item({"kind": "large integers", "value": 2**53 + 1, "larger": 10**40 + 7, "least": -(2**63)})
    save_item({"kind": "several at once", "value": 1}, {"kind": "several at once", "value": 2})
    save_item("an item that is no mapping")  # the SDK warns, and sends a message without items
    save_item()
    save_item({"kind": "long", "value": LONG})
    for number in range(1000):
        save_item({"kind": "last words", "value": number})
    os._exit(0)  # at once: nothing is flushed, nobody is told


if __name__ == "__main__":
    main()
