"""Removes what spiders have made."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import Any


def remove_tree(path: str | os.PathLike[str]) -> None:
    """Remove a folder with everything in it; what cannot be removed is left."""
    shutil.rmtree(path, onerror=_force)


def remove_surely(entry: os.DirEntry[str]) -> None:
    """Remove a file, or a folder with everything in it. Raises OSError if something is left."""
    if not entry.is_dir(follow_symlinks=False):
        os.unlink(entry.path)  # noqa: PTH108
        return
    remove_tree(entry.path)
    if os.path.lexists(entry.path):
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), entry.path)


def _force(function: Callable[..., Any], path: str, error: Any) -> None:
    """A spider may have taken our own right to write away."""
    with suppress(OSError):
        parent = os.path.dirname(path)  # noqa: PTH120
        os.chmod(parent, stat.S_IRWXU)  # noqa: PTH101
        if os.path.isdir(path) and not os.path.islink(path):  # noqa: PTH112, PTH114
            os.chmod(path, stat.S_IRWXU)  # noqa: PTH101
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)  # noqa: PTH108
