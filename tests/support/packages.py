"""Packages that need no network, and a `uv` that counts its starts and can be held back."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import uv


def make_wheel(folder: Path, name: str, version: str = "1.0") -> Path:
    """A package of one module `name` whose VERSION is `version`, and a command `name` that prints it."""
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{name}.py", f"VERSION = {version!r}\ndef main(): print({name!r}, VERSION)\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        tags = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(f"{info}/WHEEL", tags)
        archive.writestr(f"{info}/entry_points.txt", f"[console_scripts]\n{name} = {name}:main\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def make_node_package(folder: Path, name: str) -> Path:
    """A package whose main module is the text "<name> is here", which its script writes when it is installed;
    its command of the same name prints that."""
    folder.mkdir(parents=True)
    package = {
        "name": name,
        "version": "1.0.0",
        "main": "index.js",
        "bin": {name: "./bin.js"},
        "scripts": {"install": "mv made.js index.js"},
    }
    (folder / "package.json").write_text(json.dumps(package))
    (folder / "made.js").write_text(f'module.exports = "{name} is here"\n')
    (folder / "bin.js").write_text(f'#!/usr/bin/env node\nconsole.log(require("{name}"))\n')
    return folder


class Index:
    """A folder of wheels, and a `uv` in front of the true one."""

    def __init__(self, folder: Path) -> None:
        self.wheels = folder / "wheels"
        self.wheels.mkdir(parents=True)
        self.bin = folder / "bin"
        self._starts, self._closed = folder / "starts", folder / "closed"
        self._speech = folder / "speech"
        self._cache = folder / "uv-cache"
        self._place_shim()

    def _place_shim(self) -> None:
        self.bin.mkdir()
        shim = self.bin / "uv"
        shim.write_text(
            f'#!/bin/sh\necho "$@" >> {self._starts}\n'
            f"while [ -e {self._closed} ]; do sleep 0.02; done\n"
            f'if [ -e {self._speech} ]; then . {self._speech}; fi\nexec {uv.find_uv_bin()} "$@"\n'
        )
        shim.chmod(0o755)

    @property
    def variables(self) -> dict[str, str]:
        """For the engine: this uv comes first, and looks nowhere but in this folder."""
        return {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "UV_OFFLINE": "1",
            "UV_FIND_LINKS": str(self.wheels),
            "UV_CACHE_DIR": str(self._cache),
        }

    def starts(self, command: str = "") -> list[str]:
        """The command lines of the starts so far, of those that begin so."""
        lines = self._starts.read_text().splitlines() if self._starts.exists() else []
        return [line for line in lines if line.startswith(command)]

    def hold_back(self) -> None:
        """From now on a uv that is started waits."""
        self._closed.touch()

    def speak(self, script: str) -> None:
        """From now on a uv that is started runs this line of shell first."""
        self._speech.write_text(f"{script}\n")

    def let_pass(self) -> None:
        self._closed.unlink()
