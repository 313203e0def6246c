"""Runs a script as a spider with the SDK: real processes, a real pipe, the real decoder."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import silkmill.sdk
from silkmill.protocol.ipc import Decoder
from silkmill.protocol.ipcparts import Items, Part, Text

NONCE = "5p1d3r"


class Said:
    """What came out of a spider's stdout."""

    def __init__(self, decoder: Decoder, parts: list[Part]) -> None:
        self.bad, self.forged = decoder.bad, decoder.forged
        self.parts = parts
        self.items = [item for part in parts if isinstance(part, Items) for item in part.items]
        self.text = b"".join(part.data for part in parts if isinstance(part, Text))
        self.messages = [part for part in parts if not isinstance(part, Text | Items)]


def package_folder() -> Path:
    """A folder that holds the SDK and nothing else of Silkmill, as the agent gives it to spiders."""
    folder = Path(tempfile.mkdtemp(prefix="silkmill-sdk-"))
    source = Path(silkmill.sdk.__file__).parent
    shutil.copytree(source, folder / "silkmill" / "sdk", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "silkmill" / "__init__.py").touch()
    return folder


def environment(folder: Path, nonce: str = NONCE) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return {**kept, "PYTHONPATH": str(folder), **({"SILKMILL_IPC_NONCE": nonce} if nonce else {})}


def start(script: Path, folder: Path, *arguments: str, **options: object) -> "subprocess.Popen[bytes]":
    command = [sys.executable, str(script), *arguments]
    return subprocess.Popen(command, env=environment(folder), **options)  # type: ignore[call-overload,no-any-return]


def read_all(descriptor: int) -> Said:
    """Decodes until every writer has closed the pipe."""
    decoder, parts = Decoder(NONCE, "open"), []
    while data := os.read(descriptor, 65536):
        parts += decoder.feed(data)
    os.close(descriptor)
    return Said(decoder, parts + decoder.finish())
