"""The spider of the README does what the README shows; every example is listed and says how to run it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
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


EXAMPLE_FOLDERS = sorted(folder.name for folder in EXAMPLES.iterdir() if (folder / "spider.toml").exists())


def test_every_example_is_in_the_table() -> None:
    listed = re.findall(r"^\| \[([\w-]+)\]\(\1/", (EXAMPLES / "README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == EXAMPLE_FOLDERS


@pytest.mark.parametrize("name", EXAMPLE_FOLDERS)
def test_every_example_says_how_to_run_it(name: str) -> None:
    texts = [path for path in (EXAMPLES / name).rglob("*") if path.suffix in (".py", ".js", ".sh")]
    said = "".join(path.read_text() for path in texts if "node_modules" not in path.parts)
    assert re.search(
        rf"silkmill (run|deploy) examples/{name}\b[^\n]*\n\W*silkmill (items last|run \w+)", said
    )
