"""Spiders without an SDK, in languages we have nothing for: JSON lines on stdout are enough."""

from __future__ import annotations

import os
import shutil

import pytest
from tests.examples.cli import EXAMPLES, Silkmill


def test_bash(silkmill: Silkmill) -> None:
    task = silkmill.run(EXAMPLES / "bash")
    items = silkmill.items()
    assert (task["state"], task["items"]) == ("finished", len(items))
    assert len({item["builtin"] for item in items}) == len(items) >= 40
    assert next(item for item in items if item["builtin"] == "[")["about"].startswith("Evaluate conditional")
    assert "with bash" in silkmill.log()


@pytest.mark.skipif(
    shutil.which("node") is None and "CI" not in os.environ,
    reason="NOT RUN: examples/node needs Node.js, and there is no `node` in PATH",
)
def test_node(silkmill: Silkmill) -> None:
    task = silkmill.run(EXAMPLES / "node")
    items = silkmill.items()
    assert (task["state"], task["items"]) == ("finished", len(items))
    assert len({item["module"] for item in items}) == len(items) >= 20
    assert next(item for item in items if item["module"] == "fs")["functions"] > 50
    assert "modules of Node.js" in silkmill.log()
