"""A spider with Crawlab's own SDK, as its package index has it: every item arrives as that SDK sent it."""

from __future__ import annotations

from typing import Any

from tests.examples.cli import EXAMPLES, Silkmill
from tests.examples.index import need_index

CRAWLAB = EXAMPLES / "crawlab"
SAVED: list[dict[str, Any]] = [
    {"kind": "text", "value": "naïve — “quoted”\n\ttwo lines"},
    {"kind": "time", "value": "2026-03-01T12:30:15.250000", "day": "2026-03-01"},
    {"kind": "time with its zone", "value": "2026-03-01T12:30:00Z"},
    {"kind": "price", "value": "1234.50", "none": None, "sold": False},
    {"kind": "bytes", "value": "café"},
    {"kind": "no number", "value": None, "most": None},
    {"kind": "set", "value": [7], "pair": [1, 2]},
    {"kind": "int keys", "value": {"1": "one", "2": {"3": "three"}}},
    {
        "kind": "large integers",
        "value": 9007199254740993,
        "larger": 10000000000000000000000000000000000000007,
        "least": -9223372036854775808,
    },
    {"kind": "several at once", "value": 1},
    {"kind": "several at once", "value": 2},
    {"kind": "long", "value": "ä long text, " * 10_000},
    *({"kind": "last words", "value": number} for number in range(1000)),
]


def test_a_spider_for_crawlab_runs_unchanged(silkmill: Silkmill) -> None:
    need_index(CRAWLAB)
    task = silkmill.run(CRAWLAB)
    assert (task["state"], task["reason"], task["items"]) == ("finished", None, len(SAVED))
    assert silkmill.items() == SAVED
    ids = {"_tid": task["id"], "_sid": "default/crawlab", "_attempt": 1}
    assert silkmill.items("--with-ids") == [item | ids for item in SAVED]
    assert silkmill.log("--stream", "stdout") == f"task {task['id']}\n", "no message is left in the log"
    assert "bad frame" not in silkmill.log("--stream", "system")
