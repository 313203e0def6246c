"""The attempt directories of a node: made, kept for a day if they failed, else removed or used again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from silkmill.domain.attempt import AttemptRef
from silkmill.protocol.attemptdir import OUTCOME_FILE, SPARE_PREFIX, SPEC_FILE, WORK_DIRECTORY

_KEPT = "kept"  # an empty file; its age is how long the directory has been kept
_SPARES = 16
_MADE = frozenset({WORK_DIRECTORY})
_SPARE_FILES = {"spec": SPEC_FILE, "outcome": OUTCOME_FILE, "log": "log.0"}


class AttemptDirectories:
    """`<folder>/<task>.<n>`, each with a folder `work`.

    A released directory is emptied in `released`, by a thread that takes all that wait, and serves another
    attempt: making and removing directories is the dearest thing a small task asks of a file system."""

    def __init__(self, folder: Path, released: Path) -> None:
        self.folder = _made(folder)
        _remove(released)  # of an agent that was killed
        self._released_folder = _made(released)
        self._released: list[str] = []
        self._spares: list[str] = []
        self._names = 0
        self.wake = asyncio.Event()

    def path(self, ref: AttemptRef) -> Path:
        return self.folder / str(ref)

    def make(self, directory: Path) -> None:
        """A directory with an empty `work`. Raises OSError."""
        if self._spares:
            os.rename(self._spares.pop(), directory)  # noqa: PTH104
        else:
            directory.mkdir(mode=0o700)
            (directory / WORK_DIRECTORY).mkdir(mode=0o700)

    def release(self, directory: Path) -> None:
        """The attempt is over and all its processes are dead: nothing that was written in it stays."""
        self._names += 1
        released = f"{self._released_folder}/{self._names}"
        try:
            os.rename(directory, released)  # noqa: PTH104
        except OSError:  # another file system, or a full one
            released = str(directory)
        self._released.append(released)
        self.wake.set()

    async def tick(self) -> None:
        """Empty what was released so far."""
        released, self._released = self._released, []
        if released:
            await asyncio.to_thread(self._empty_each, released)

    async def close(self) -> None:
        """Remove everything that belongs to no attempt."""
        await self.tick()
        self._spares.clear()
        await asyncio.to_thread(_remove, self._released_folder)

    async def remove_expired(self, kept_seconds: float) -> None:
        """One pass of the cleaning."""
        for directory in self.folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if time.time() - (directory / _KEPT).stat().st_mtime >= kept_seconds:
                    await remove(directory)

    def _empty_each(self, released: list[str]) -> None:
        for directory in released:
            is_ours = directory.startswith(f"{self._released_folder}/")
            if is_ours and len(self._spares) < _SPARES and _empty_again(directory):
                self._spares.append(directory)
            else:
                _remove(directory)


def keep(directory: Path) -> None:
    """Mark a directory whose attempt is over: nobody adopts it, the cleaning removes it later.

    Where that fails the next agent looks at the directory again, and is told that it is stale."""
    with contextlib.suppress(OSError):
        (directory / _KEPT).touch()


def is_kept(directory: Path) -> bool:
    return (directory / _KEPT).exists()


async def remove(directory: Path) -> None:
    """Remove a directory with everything a spider may have made in it."""
    await asyncio.to_thread(_remove, directory)


def _made(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder.resolve()


def _empty_again(directory: str) -> bool:
    """Make it as it was made. False when that cannot be: a spider may have changed its working directory."""
    work = f"{directory}/{WORK_DIRECTORY}"
    try:
        status = os.lstat(work)
        if status.st_mode != stat.S_IFDIR | stat.S_IRWXU or status.st_uid != os.getuid():
            return False
        _empty(work, keep=frozenset())
        _empty(
            directory, keep=_MADE | {SPARE_PREFIX + kind for kind in _SPARE_FILES if _spare(directory, kind)}
        )
    except OSError:
        return False
    return True


def _spare(directory: str, kind: str) -> bool:
    """Keep a file of the engine, emptied, for the next attempt: see attemptdir.take_spare.

    Not one that a spider has put in its place."""
    path, spare = f"{directory}/{_SPARE_FILES[kind]}", f"{directory}/{SPARE_PREFIX}{kind}"
    try:
        if not _is_own_file(path):
            return False
        os.truncate(path, 0)
        os.rename(path, spare)  # noqa: PTH104
    except FileNotFoundError:
        return False
    return True


def _is_own_file(path: str) -> bool:
    status = os.lstat(path)
    return status.st_mode == stat.S_IFREG | 0o600 and status.st_nlink == 1 and status.st_uid == os.getuid()


def _empty(path: str, *, keep: frozenset[str]) -> None:
    with os.scandir(path) as entries:
        found = [entry for entry in entries if entry.name not in keep]
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            _remove(entry.path)
        else:
            os.unlink(entry.path)  # noqa: PTH108


def _remove(path: str | Path) -> None:
    shutil.rmtree(path, onerror=_force)


def _force(function: Callable[..., Any], path: str, error: Any) -> None:
    """A spider may have taken our own right to write away; what still cannot be removed is left."""
    with contextlib.suppress(OSError):
        parent = os.path.dirname(path)  # noqa: PTH120
        os.chmod(parent, stat.S_IRWXU)  # noqa: PTH101
        if os.path.isdir(path) and not os.path.islink(path):  # noqa: PTH112, PTH114
            os.chmod(path, stat.S_IRWXU)  # noqa: PTH101
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)  # noqa: PTH108
