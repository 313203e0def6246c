"""docs/troubleshooting.md quotes what the product says, word for word."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
QUOTED = [line for block in re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
VARIES = "\0"
LEAST_LETTERS = 7


@cache
def messages() -> frozenset[str]:
    """All texts of the source, with VARIES for what they are filled with."""
    found: set[str] = set()
    for path in (ROOT / "src" / "silkmill").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                found.add("".join(map(_part, node.values)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return frozenset(found)


def _part(value: ast.expr) -> str:
    return str(value.value) if isinstance(value, ast.Constant) else VARIES


def is_said(line: str) -> bool:
    """One message holds what stands between the `…`. Part of it may be filled with a second message."""
    filled = (
        text for text in messages() if len(text) >= LEAST_LETTERS and VARIES not in text and text in line
    )
    candidates = [line, *(line.replace(text, "…") for text in filled)]
    return any(_holds(message, candidate) for candidate in candidates for message in messages())


def _holds(message: str, line: str) -> bool:
    pieces = [piece.strip() for piece in line.split("…")]
    return any(pieces) and re.search(".*".join(map(re.escape, pieces)), message, re.DOTALL) is not None


@pytest.mark.parametrize("line", QUOTED)
def test_the_product_says_so(line: str) -> None:
    assert len(re.sub(r"[…\W]", "", line)) >= LEAST_LETTERS, "too little to tell it from other messages"
    assert is_said(line)


def test_what_it_does_not_say_is_found() -> None:
    assert QUOTED
    assert not is_said("no more tasks of the … may walk at once; those that do: …")


def test_every_part_says_what_to_do() -> None:
    parts = re.split(r"(?m)^## ", PAGE)[1:]
    silent = [
        part.splitlines()[0] for part in parts if not re.search(r"silkmill \w+|spider\.toml|```toml", part)
    ]
    assert len(parts) >= 14 and not silent
