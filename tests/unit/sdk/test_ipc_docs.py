"""The examples of docs/ipc.md are run as they stand there."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sdk_spider import NONCE, environment

from silkmill.protocol.ipc import Decoder
from silkmill.protocol.ipcparts import Hello, Items, Log, Status, Text

PAGE = Path(__file__).parents[3] / "docs" / "ipc.md"


def example(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found, f"docs/ipc.md has no example in {language}"
    return found[1]


@pytest.mark.parametrize(
    "language, command, items, text",
    [
        ("python", [sys.executable, "-c"], 13, b""),
        ("javascript", ["node", "-e"], 3, b"an ordinary log line\n"),
        ("bash", ["bash", "-c"], 3, b"an ordinary log line\n"),
    ],
)
def test_an_example_sends_what_it_says(language, command, items, text, sdk_folder):
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    written = subprocess.run(
        [*command, example(language)],
        env=environment(sdk_folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    assert written.returncode == 0, written.stderr
    decoder = Decoder(NONCE, "strict")
    parts = decoder.feed(written.stdout) + decoder.finish()
    assert sum(part.count for part in parts if isinstance(part, Items)) == items
    assert {type(part) for part in parts} >= {Hello, Status, Log}
    assert b"".join(part.data for part in parts if isinstance(part, Text)) == text
    assert decoder.bad == decoder.forged == 0
