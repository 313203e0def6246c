"""The two system calls we need that Python's library does not offer."""

from __future__ import annotations

import ctypes
import errno
import os

_PR_SET_CHILD_SUBREAPER = 36
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2

_libc = ctypes.CDLL(None, use_errno=True)


def become_subreaper() -> None:
    """Orphans below this process become its children instead of those of process 1 (prctl(2))."""
    _set_subreaper(1)


def resign_as_subreaper() -> None:
    _set_subreaper(0)


def _set_subreaper(flag: int) -> None:
    if _libc.prctl(_PR_SET_CHILD_SUBREAPER, flag, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def exchange_names(first: str, second: str) -> bool:
    """Swap two files in one step (renameat2(2)); False where the file system cannot, or one is missing."""
    paths = os.fsencode(first), os.fsencode(second)
    if _libc.renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.ENOENT):
        return False
    raise OSError(number, os.strerror(number), first)
