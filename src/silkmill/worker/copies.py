"""The private copies of a version's files in a working directory, and which of them are as they were made."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress

from silkmill.domain.version import FileEntry
from silkmill.worker.prepare.blobs import BlobCache
from silkmill.worker.removal import remove_surely, remove_tree

SMALL_FILES = 64
SMALL_BYTES = 256 * 1024
_Signature = tuple[int | str, ...]


def is_small(files: Sequence[FileEntry]) -> bool:
    """Whether so many files are copied, compared or removed in no time."""
    return len(files) <= SMALL_FILES and sum(entry.size for entry in files) <= SMALL_BYTES


class Copies:
    """What was made in one `work`. Those of a small version that an attempt left as they were made serve the
    next one: a new inode can be dear.

    Their bytes are compared when they are used. So nothing depends on what the times of a file can tell, and
    nobody who meddles with a directory that waits can harm the attempt that gets it."""

    def __init__(self) -> None:
        self.files: Sequence[FileEntry] = ()
        self._made: dict[FileEntry, _Signature] = {}
        self._folders: dict[str, _Signature] = {}

    def __contains__(self, entry: FileEntry) -> bool:
        return entry in self._made

    def adapt(self, work: str, files: Sequence[FileEntry], folders: Sequence[str], blobs: BlobCache) -> None:
        """Leave nothing in `work` but those copies and folders that are wanted and right, and make the other
        folders; `folders` are sorted, parents first. Raises OSError."""
        self.files = files
        self._drop_folders(work, set(folders))
        wanted = set(files)
        for entry in list(self._made):
            if entry not in wanted or not self._is_right(work, entry, blobs):
                with suppress(FileNotFoundError):
                    os.unlink(f"{work}/{entry.path}")  # noqa: PTH108
                del self._made[entry]
        for folder in folders:
            if folder not in self._folders:
                os.mkdir(f"{work}/{folder}", 0o755)  # noqa: PTH102
                self._folders[folder] = _of_folder(f"{work}/{folder}", os.lstat(f"{work}/{folder}"))

    def add(self, entry: FileEntry, descriptor: int) -> None:
        """The copy is complete; nobody has seen it yet."""
        self._made[entry] = _of_file(os.fstat(descriptor))

    def remove_others(self, work: str) -> None:
        """Remove everything that is not as it was made, or was not made here. Raises OSError."""
        if not is_small(self.files):
            self.files, self._made, self._folders = (), {}, {}
        files = {entry.path: made for entry, made in self._made.items()}
        left = set(self._sweep(work, "", files))
        self._made = {entry: made for entry, made in self._made.items() if entry.path in left}
        self._folders = {path: made for path, made in self._folders.items() if path in left}

    def _sweep(self, folder: str, prefix: str, files: dict[str, _Signature]) -> Iterator[str]:
        """The paths that are left."""
        with os.scandir(folder) as entries:
            found = list(entries)
        for entry in found:
            path = prefix + entry.name
            status = entry.stat(follow_symlinks=False)
            if path in files and files[path] == _of_file(status):
                yield path
            elif path in self._folders and self._folders[path] == _of_folder(entry.path, status):
                yield path
                yield from self._sweep(entry.path, f"{path}/", files)
            else:
                remove_surely(entry)

    def _drop_folders(self, work: str, wanted: set[str]) -> None:
        """Folders that are not wanted, or not as they were made, go with all that is in them."""
        for folder, made in list(self._folders.items()):
            if folder in wanted and _is_as_made(f"{work}/{folder}", made):
                continue
            remove_tree(f"{work}/{folder}")
            below = f"{folder}/"
            self._made = {e: made for e, made in self._made.items() if not e.path.startswith(below)}
            del self._folders[folder]

    def _is_right(self, work: str, entry: FileEntry, blobs: BlobCache) -> bool:
        try:
            descriptor = os.open(
                f"{work}/{entry.path}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            )
        except OSError:
            return False
        try:
            if _of_file(os.fstat(descriptor)) != self._made[entry]:
                return False
            return os.pread(descriptor, entry.size + 1, 0) == blobs.content(entry)
        finally:
            os.close(descriptor)


def _of_file(status: os.stat_result) -> _Signature:
    return (
        status.st_ino,
        status.st_mode,
        status.st_nlink,
        status.st_uid,
        status.st_gid,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def _of_folder(path: str, status: os.stat_result) -> _Signature:
    """Extended attributes hold access rights too."""
    return status.st_ino, status.st_mode, status.st_uid, status.st_gid, *_attributes(path)


def _is_as_made(path: str, made: _Signature) -> bool:
    try:
        return _of_folder(path, os.lstat(path)) == made
    except OSError:
        return False


def _attributes(path: str) -> list[str]:
    try:
        return sorted(os.listxattr(path, follow_symlinks=False))
    except OSError:  # the file system has none
        return []
