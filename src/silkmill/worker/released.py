"""Attempt directories after their end: removed, or kept for a day where somebody may want to look."""

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

_KEPT = "kept"  # an empty file; its age is how long the directory has been kept
_AT_ONCE = 64  # so many files are removed without a thread


def keep(directory: Path) -> None:
    """Mark a directory whose attempt is over: nobody adopts it, the cleaning removes it later."""
    with contextlib.suppress(FileNotFoundError):
        (directory / _KEPT).touch()


def is_kept(directory: Path) -> bool:
    return (directory / _KEPT).exists()


async def remove(directory: Path) -> None:
    """Remove a directory with everything a spider may have made in it."""
    if not _remove_small(str(directory)):
        await asyncio.to_thread(shutil.rmtree, directory, onerror=_force)


async def remove_expired(attempts: Path, kept_seconds: float) -> None:
    """One pass of the cleaning."""
    for directory in attempts.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if time.time() - (directory / _KEPT).stat().st_mtime >= kept_seconds:
                await remove(directory)


def _remove_small(path: str) -> bool:
    """The usual case costs a few system calls; False when there is more to it."""
    try:
        with os.scandir(path) as entries:
            found = [(entry.path, entry.is_dir(follow_symlinks=False)) for entry in entries]
        if len(found) > _AT_ONCE:
            return False
        for child, is_directory in found:
            if is_directory:
                if not _remove_small(child):
                    return False
            else:
                os.unlink(child)  # noqa: PTH108
        os.rmdir(path)  # noqa: PTH106
    except FileNotFoundError:
        return True
    except OSError:
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
