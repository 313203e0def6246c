"""One environment on disk: `source/` with the files it is made from, what was made, and `.ready` at last."""

from __future__ import annotations

import ctypes
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from silkmill.domain.environment import PACKAGE, PYPROJECT, Kind, Recipe, without_scripts
from silkmill.runtime.datadir import write_private
from silkmill.worker.environments.commands import MODULES, SOURCE, VENV
from silkmill.worker.prepare.errors import PreparationFailed

READY = ".ready"
_UV_SETTINGS = "uv.toml"
_TO_WRITE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Environment:
    """One that is ready, at its final path."""

    key: str
    kind: Kind
    folder: Path

    @property
    def bin(self) -> Path:
        return self.modules / ".bin" if self.kind is Kind.NODE else self.venv / "bin"

    @property
    def venv(self) -> Path:
        return self.folder / VENV

    @property
    def modules(self) -> Path:
        return self.folder / SOURCE / MODULES


def lay_out(folder: Path, recipe: Recipe, contents: dict[str, bytes]) -> None:
    """An empty folder with the files of the recipe. Raises PreparationFailed, OSError."""
    source = folder / SOURCE
    source.mkdir(mode=0o755, parents=True)
    for entry in recipe.files:
        path = source / entry.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_laid_out(entry.path, contents[entry.path]))
    if recipe.kind is not Kind.NODE and b"[tool.uv" not in contents.get(PYPROJECT, b""):
        # Else uv looks for settings in the folders above, which are not the spider's.
        (source / _UV_SETTINGS).touch()


def _laid_out(path: str, content: bytes) -> bytes:
    """npm would run the scripts of the project, whose files are not there."""
    if path != PACKAGE:
        return content
    try:
        return without_scripts(content)
    except ValueError as error:
        raise PreparationFailed(f"{path}: it cannot be read: {error}", permanent=True) from None


def contents_of(recipe: Recipe, work: Path) -> dict[str, bytes]:
    """The files of the recipe, from a private copy of the version. Raises OSError."""
    return {entry.path: (work / entry.path).read_bytes() for entry in recipe.files}


def seal(folder: Path) -> int:
    """What was built is complete: take the right to write away, bring it to the disk, mark it. Returns its
    size in bytes. Raises OSError."""
    size = sum(_protect(entry) for entry in _walk(folder))
    _sync_file_system(folder)
    write_private(folder / READY, json.dumps({"bytes": size}))
    return size


def size_of(folder: Path) -> int | None:
    """As it was sealed; None for one that is not ready."""
    try:
        return int(json.loads((folder / READY).read_bytes())["bytes"])
    except (OSError, ValueError, KeyError):
        return None


def _walk(folder: Path) -> list[os.DirEntry[str]]:
    found, waiting = [], [str(folder)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                found.append(entry)
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
    return found


def _protect(entry: os.DirEntry[str]) -> int:
    """A spider that installs something by mistake must not change what others use. Returns its size."""
    if entry.is_symlink():
        return 0
    status = entry.stat(follow_symlinks=False)
    os.chmod(entry.path, stat.S_IMODE(status.st_mode) & ~_TO_WRITE)  # noqa: PTH101
    return status.st_size


def _sync_file_system(folder: Path) -> None:
    """Thousands of files at once; else a power cut leaves a marker over empty ones (syncfs(2))."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if _libc.syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(descriptor)
