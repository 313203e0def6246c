"""The attempt directories of a node: made, kept for a day if they failed, else removed or used again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from silkmill.domain.attempt import AttemptRef
from silkmill.domain.version import FileEntry
from silkmill.protocol.attemptdir import OUTCOME_FILE, SPEC_FILE, UNFINISHED, WORK_DIRECTORY, segment_path
from silkmill.worker.copies import Copies, is_small
from silkmill.worker.removal import remove_surely, remove_tree

_KEPT = "kept"  # an empty file; its age is how long the directory has been kept
_SPARES = 16
_BATCH = 8
_BATCH_SECONDS = 0.05
"""Released directories wait until they are so many, or for so long: to hand work to a thread costs the event
loop as much as emptying one."""
_FIRST_LOG = segment_path("", "log", 0)
_USED_AGAIN = (
    (SPEC_FILE, SPEC_FILE + UNFINISHED),
    (OUTCOME_FILE, OUTCOME_FILE + UNFINISHED),
    (_FIRST_LOG, _FIRST_LOG),
)
"""The engine's own files, and the names under which, emptied, they wait to be written again."""


@dataclass(frozen=True, slots=True, eq=False)
class _Used:
    path: str
    copies: Copies


class AttemptDirectories:
    """`<folder>/<task>.<n>`, each with a folder `work`.

    A released directory is emptied in `released`, some at a time by a thread, and serves another attempt:
    making and removing directories is the dearest thing a small task asks of a file system."""

    def __init__(self, folder: Path, released: Path) -> None:
        self.folder = _made(folder)
        remove_tree(released)  # of an agent that was killed
        self._released_folder = _made(released)
        self._released: list[_Used] = []
        self._spares: list[_Used] = []
        self._names = 0
        self.wake = asyncio.Event()

    def path(self, ref: AttemptRef) -> Path:
        return self.folder / str(ref)

    def make(self, directory: Path, files: Sequence[FileEntry]) -> Copies:
        """A directory with a folder `work`, in which these copies are and nothing else: of `files`, if a
        directory with such is waiting. Raises OSError."""
        while spare := self._take_spare(files):
            with contextlib.suppress(FileNotFoundError):  # somebody has tidied up
                os.rename(spare.path, directory)  # noqa: PTH104
                return spare.copies
        directory.mkdir(mode=0o700)
        (directory / WORK_DIRECTORY).mkdir(mode=0o700)
        return Copies()

    def _take_spare(self, files: Sequence[FileEntry]) -> _Used | None:
        if not self._spares:
            return None
        spare = self._spares[0]
        if is_small(files):
            spare = next((spare for spare in self._spares if spare.copies.files == files), spare)
        self._spares.remove(spare)
        return spare

    def release(self, directory: Path, copies: Copies) -> None:
        """The attempt is over and all its processes are dead: nothing that was written in it stays. Needs a
        running event loop."""
        self._names += 1
        released = f"{self._released_folder}/{self._names}"
        try:
            os.rename(directory, released)  # noqa: PTH104
        except OSError:  # another file system, or a full one
            released = str(directory)
        self._released.append(_Used(released, copies))
        if len(self._released) == 1:
            asyncio.get_running_loop().call_later(_BATCH_SECONDS, self.wake.set)
        elif len(self._released) == _BATCH:
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
        await asyncio.to_thread(remove_tree, self._released_folder)

    async def remove_expired(self, kept_seconds: float) -> None:
        """One pass of the cleaning."""
        for directory in self.folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if time.time() - (directory / _KEPT).stat().st_mtime >= kept_seconds:
                    await remove(directory)

    def _empty_each(self, released: list[_Used]) -> None:
        for spare in released:
            is_ours = spare.path.startswith(f"{self._released_folder}/")
            if is_ours and len(self._spares) < _SPARES and _empty_again(spare):
                self._spares.append(spare)
            else:
                remove_tree(spare.path)


def keep(directory: Path) -> None:
    """Mark a directory whose attempt is over: nobody adopts it, the cleaning removes it later.

    Where that fails the next agent looks at the directory again, and is told that it is stale."""
    with contextlib.suppress(OSError):
        (directory / _KEPT).touch()


def is_kept(directory: Path) -> bool:
    return (directory / _KEPT).exists()


async def remove(directory: Path) -> None:
    """Remove a directory with everything a spider may have made in it."""
    await asyncio.to_thread(remove_tree, directory)


def _made(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder.resolve()


def _empty_again(spare: _Used) -> bool:
    """Make it as it was made. False when that cannot be: a spider may have changed its working directory."""
    work = f"{spare.path}/{WORK_DIRECTORY}"
    try:
        status = os.lstat(work)
        if status.st_mode != stat.S_IFDIR | stat.S_IRWXU or status.st_uid != os.getuid():
            return False
        spare.copies.remove_others(work)
        kept = {again for name, again in _USED_AGAIN if _emptied(spare.path, name, again)}
        _empty(spare.path, keep=kept | {WORK_DIRECTORY})
    except OSError:
        return False
    return True


def _emptied(directory: str, name: str, again: str) -> bool:
    """Keep a file of the engine for the next attempt: after thousands of deletions a file system looks long
    for the inode of a new file. Not one that a spider has put in its place."""
    path = f"{directory}/{name}"
    try:
        if not _is_own_file(path):
            return False
        # ext4 writes a file that was cut to nothing out at its next close, which is here and now.
        os.close(os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC))
        if again != name:
            os.rename(path, f"{directory}/{again}")  # noqa: PTH104
    except FileNotFoundError:
        return False
    return True


def _is_own_file(path: str) -> bool:
    status = os.lstat(path)
    return status.st_mode == stat.S_IFREG | 0o600 and status.st_nlink == 1 and status.st_uid == os.getuid()


def _empty(path: str, *, keep: set[str]) -> None:
    with os.scandir(path) as entries:
        found = [entry for entry in entries if entry.name not in keep]
    for entry in found:
        remove_surely(entry)
