"""Spiders without an SDK, in languages we have nothing for: JSON lines on stdout are enough."""

from __future__ import annotations

import json

from tests.examples.cli import EXAMPLES, Silkmill
from tests.examples.index import need_index


def test_bash(silkmill: Silkmill) -> None:
    task = silkmill.run(EXAMPLES / "bash")
    items = silkmill.items()
    assert (task["state"], task["items"], task["progress"]) == ("finished", len(items), 1)
    assert len({item["builtin"] for item in items}) == len(items) >= 40
    assert next(item for item in items if item["builtin"] == "[")["about"].startswith("Evaluate conditional")
    assert "with bash" in silkmill.log()


def test_node(silkmill: Silkmill) -> None:
    need_index(EXAMPLES / "node")
    task = silkmill.run(EXAMPLES / "node")
    items = silkmill.items()
    assert (task["state"], task["items"]) == ("finished", len(items))
    assert len({item["module"] for item in items}) == len(items) >= 20
    fs = next(item for item in items if item["module"] == "fs")
    assert fs["functions"] > 50 and fs["callbacks"] > 20, "its package is there, and reads their source"
    assert "modules of Node.js" in silkmill.log()


def test_the_packages_of_node_are_locked_to_no_address() -> None:
    lock = json.loads((EXAMPLES / "node" / "package-lock.json").read_text())
    packages = [package for path, package in lock["packages"].items() if path]
    assert packages and all("integrity" in package for package in packages)
    assert not [package for package in packages if "resolved" in package]
