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
from silkmill.protocol.attemptdir import WORK_DIRECTORY

_KEPT = "kept"  # an empty file; its age is how long the directory has been kept
_SPARES = 16
_AT_ONCE = 64  # so many files of one folder are removed without a thread


class AttemptDirectories:
    """`<folder>/<task>.<n>`, each with a folder `work`.

    A directory that is empty again waits in `spares` for the next attempt: making and removing directories
    is the dearest thing a small task asks of a file system."""

    def __init__(self, folder: Path, spares: Path) -> None:
        self.folder = _made(folder)
        if spares.exists():  # of an agent that was killed
            shutil.rmtree(spares)
        self._spare_folder = _made(spares)
        self._spares: list[str] = []
        self._made = 0

    def path(self, ref: AttemptRef) -> Path:
        return self.folder / str(ref)

    def make(self, directory: Path) -> None:
        """A directory with an empty `work`. Raises OSError."""
        if self._spares:
            os.rename(self._spares.pop(), directory)  # noqa: PTH104
        else:
            directory.mkdir(mode=0o700)
            (directory / WORK_DIRECTORY).mkdir(mode=0o700)

    async def release(self, directory: Path) -> None:
        """The attempt is over and all its processes are dead: nothing of it stays."""
        if not self._empty_for_reuse(str(directory)):
            await remove(directory)

    def remove_spares(self) -> None:
        for spare in self._spares:
            _remove_small(spare)
        self._spares.clear()

    async def remove_expired(self, kept_seconds: float) -> None:
        """One pass of the cleaning."""
        for directory in self.folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if time.time() - (directory / _KEPT).stat().st_mtime >= kept_seconds:
                    await remove(directory)

    def _empty_for_reuse(self, directory: str) -> bool:
        if len(self._spares) >= _SPARES:
            return False
        work = f"{directory}/{WORK_DIRECTORY}"
        try:
            if not (_is_as_made(work) and _empty(work, keep="") and _empty(directory, keep=WORK_DIRECTORY)):
                return False
            self._made += 1
            spare = f"{self._spare_folder}/{self._made}"
            os.rename(directory, spare)  # noqa: PTH104
        except OSError:
            return False
        self._spares.append(spare)
        return True


def _made(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder.resolve()


def keep(directory: Path) -> None:
    """Mark a directory whose attempt is over: nobody adopts it, the cleaning removes it later.

    Where that fails the next agent looks at the directory again, and is told that it is stale."""
    with contextlib.suppress(OSError):
        (directory / _KEPT).touch()


def is_kept(directory: Path) -> bool:
    return (directory / _KEPT).exists()


async def remove(directory: Path) -> None:
    """Remove a directory with everything a spider may have made in it."""
    if not _remove_small(str(directory)):
        await asyncio.to_thread(shutil.rmtree, directory, onerror=_force)


def _is_as_made(path: str) -> bool:
    """A spider may have replaced its working directory, or changed who may use it."""
    status = os.lstat(path)
    return status.st_mode == stat.S_IFDIR | stat.S_IRWXU and status.st_uid == os.getuid()


def _remove_small(path: str) -> bool:
    """The usual case costs a few system calls; False when there is more to it."""
    try:
        if not _empty(path, keep=""):
            return False
        os.rmdir(path)  # noqa: PTH106
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _empty(path: str, *, keep: str) -> bool:
    """Remove what is in a folder but `keep`; False when there is too much for once. Raises OSError."""
    with os.scandir(path) as entries:
        found = [entry for entry in entries if entry.name != keep]
    if len(found) > _AT_ONCE:
        return False
    for entry in found:
        if not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.path)  # noqa: PTH108
        elif not _remove_small(entry.path):
            return False
    return True


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
