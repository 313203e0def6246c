"""The private copies of a version's files in a working directory, and which of them nobody has touched."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from silkmill.domain.version import FileEntry

SMALL_FILES = 64
SMALL_BYTES = 256 * 1024
_Signature = tuple[int, ...]


def is_small(files: Sequence[FileEntry]) -> bool:
    """Whether so many files are copied, or removed, in no time."""
    return len(files) <= SMALL_FILES and sum(entry.size for entry in files) <= SMALL_BYTES


class Copies:
    """What was made in one `work`. Copies of a small version that an attempt left untouched serve the next
    one: a new inode can be dear, a copy that is there costs nothing.

    The time of a copy is a full second in the past, so that whatever is written to it later shows, however
    coarse the clock of the file system."""

    def __init__(self) -> None:
        self.files: Sequence[FileEntry] = ()
        self._made: dict[FileEntry, _Signature] = {}
        self._folders: dict[str, _Signature] = {}

    def __contains__(self, entry: FileEntry) -> bool:
        return entry in self._made

    def begin(self, work: str, files: Sequence[FileEntry], folders: Sequence[str]) -> None:
        """Leave nothing in `work` but those copies and folders that are wanted, and make the other folders;
        `folders` are sorted, parents first. Raises OSError."""
        self.files = files
        wanted = set(files)
        for entry in [entry for entry in self._made if entry not in wanted]:
            os.unlink(f"{work}/{entry.path}")  # noqa: PTH108
            del self._made[entry]
        for folder in sorted(self._folders.keys() - set(folders), reverse=True):
            os.rmdir(f"{work}/{folder}")  # noqa: PTH106
            del self._folders[folder]
        for folder in folders:
            if folder not in self._folders:
                os.mkdir(f"{work}/{folder}", 0o755)  # noqa: PTH102
                self._folders[folder] = _of_folder(os.lstat(f"{work}/{folder}"))

    def add(self, entry: FileEntry, descriptor: int) -> None:
        """The copy is complete; nobody has seen it yet."""
        past = (time.time_ns() // 1_000_000_000 - 1) * 1_000_000_000
        os.utime(descriptor, ns=(past, past))
        self._made[entry] = _of_file(os.fstat(descriptor))

    def keep_untouched(self, work: str) -> None:
        """Remove everything else. Raises OSError."""
        if not is_small(self.files):
            self._made, self._folders = {}, {}
        untouched: set[str] = set()
        self._sweep(work, "", {entry.path: made for entry, made in self._made.items()}, untouched)
        self._made = {entry: made for entry, made in self._made.items() if entry.path in untouched}
        self._folders = {path: made for path, made in self._folders.items() if path in untouched}

    def _sweep(self, folder: str, prefix: str, files: dict[str, _Signature], untouched: set[str]) -> None:
        with os.scandir(folder) as entries:
            found = list(entries)
        for entry in found:
            path = prefix + entry.name
            status = entry.stat(follow_symlinks=False)
            if path in files and files[path] == _of_file(status):
                untouched.add(path)
            elif path in self._folders and self._folders[path] == _of_folder(status):
                untouched.add(path)
                self._sweep(entry.path, f"{path}/", files, untouched)
            elif stat.S_ISDIR(status.st_mode):
                remove_tree(entry.path)
            else:
                os.unlink(entry.path)  # noqa: PTH108


def remove_tree(path: str | os.PathLike[str]) -> None:
    """Remove a folder with everything in it; what cannot be removed is left."""
    shutil.rmtree(path, onerror=_force)


def _of_file(status: os.stat_result) -> _Signature:
    return (
        status.st_ino,
        status.st_mode,
        status.st_nlink,
        status.st_uid,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def _of_folder(status: os.stat_result) -> _Signature:
    return status.st_ino, status.st_mode, status.st_uid


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
