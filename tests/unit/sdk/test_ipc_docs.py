"""The examples of docs/ipc.md are run as they stand there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sdk_spider import NONCE, Said, environment

from silkmill.protocol.ipc import Decoder
from silkmill.protocol.ipcparts import Hello, Log, Status

PAGE = Path(__file__).parents[3] / "docs" / "ipc.md"


def example(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found, f"docs/ipc.md has no example in {language}"
    return found[1]


COMMANDS = {"python": [sys.executable, "-c"], "javascript": ["node", "-e"], "bash": ["bash", "-c"]}


def written_by(language: str, sdk_folder: Path, said: bytes = b"") -> Said:
    """What the example writes when its stdin, which stays open, begins so."""
    command = COMMANDS[language]
    if shutil.which(command[0]) is None:
        assert not os.environ.get("CI"), f"{command[0]} is not installed"
        pytest.skip(f"NOT RUN: {command[0]} is not installed")
    stdin, keyboard = os.pipe()
    try:
        os.write(keyboard, said)
        written = subprocess.run(
            [*command, example(language)],
            env=environment(sdk_folder),
            stdin=stdin,
            capture_output=True,
            timeout=60,
        )
    finally:
        os.close(stdin)
        os.close(keyboard)
    assert written.returncode == 0, written.stderr
    decoder = Decoder(NONCE, "strict")
    return Said(decoder, decoder.feed(written.stdout) + decoder.finish())


@pytest.mark.parametrize(
    "language, items, text",
    [
        ("python", 13, b""),
        ("javascript", 3, b"an ordinary log line\n"),
        ("bash", 3, b"an ordinary log line\n"),
    ],
)
def test_an_example_sends_what_it_says(language, items, text, sdk_folder):
    said = written_by(language, sdk_folder)
    assert len(said.items) == items
    assert {type(part) for part in said.messages} >= {Hello, Status, Log}
    assert said.text == text
    assert said.bad == said.forged == 0


@pytest.mark.parametrize("language", ["javascript", "bash"])
def test_an_example_stops_at_a_cancel(language, sdk_folder):
    said = written_by(language, sdk_folder, b'{"type": "CANCEL", "payload": {"grace_seconds": 5}}\n')
    assert len(said.items) < 3 and said.text == b"an ordinary log line\n"


@pytest.mark.parametrize("language", COMMANDS)
def test_an_example_is_short(language):
    assert 12 <= len(example(language).splitlines()) <= 25
