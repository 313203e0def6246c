"""The spider of the README does what the README shows."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.examples.cli import EXAMPLES, Silkmill


def test_the_spider_of_the_readme(silkmill: Silkmill, tmp_path: Path) -> None:
    readme = (EXAMPLES.parent / "README.md").read_text()
    blocks = dict(re.findall(r"```(toml|python|console)\n(.*?)```", readme, re.DOTALL))
    folder = tmp_path / "hello"
    folder.mkdir()
    (folder / "spider.toml").write_text(blocks["toml"])
    (folder / "main.py").write_text(blocks["python"])
    assert silkmill.run(folder)["state"] == "finished"
    shown = [json.loads(line) for line in blocks["console"].splitlines() if line.startswith("{")]
    assert silkmill.items() == shown
    assert "looking at page 3" in silkmill.log()
