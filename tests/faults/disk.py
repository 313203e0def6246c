"""A disk as POSIX promises it: what was not synced may be there after a power failure, whole, in part or not.

Stricter than ext4 as it is usually mounted, where an fsync of a file also keeps its name, and names change
in order. What the model trusts: a sector of 512 bytes is written whole or not at all, a sync that has
returned is true, and nothing that was synced is damaged later."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.faults.inodes import (
    Change,
    File,
    Folder,
    Luck,
    Naming,
    Resize,
    Write,
    content,
    everything,
    names,
    settle,
)
from tests.faults.trace import Call

SYNCS = ("fsync", "fdatasync")
NAMING = ("rename", "unlink", "rmdir", "mkdir")


class Disk:
    """What is below `root`, as far as `models` says yes to a path relative to it, played from a recording.

    While it is not `honest`, it answers the sync of a file without doing it."""

    def __init__(self, root: Path, models: Callable[[Path], bool]) -> None:
        self.root, self._models, self.honest = root, models, True
        self._top = Folder()
        self._open: dict[int, File | Folder] = {}
        self._position: dict[int, int] = {}
        self._syncs: dict[int, tuple[File | Folder, int]] = {}
        self._effects: dict[str, Callable[[Call, int], None]] = {
            "openat": self._opened,
            "write": self._written,
            "pwrite64": self._written_at,
            "ftruncate": self._resized,
            "rename": self._renamed,
            "unlink": self._removed,
            "rmdir": self._removed,
            "mkdir": self._made_folder,
            "fsync": self._synced,
            "fdatasync": self._synced,
        }

    def play(self, call: Call) -> None:
        """A moment of the recording. A call has its effect when it ends; one under way has none yet. A sync
        covers what had happened when it began."""
        if call.name not in self._effects or not self._concerns(call):
            return
        if call.result is None and call.name in SYNCS:
            node = self._open[call.descriptor]
            self._syncs[call.thread] = node, node.settled + len(node.changes)
        elif call.result is not None and call.result >= 0:
            self._effects[call.name](call, call.result)

    def unsynced(self) -> int:
        """Changes that a power failure may undo."""
        return sum(len(node.changes) for node in _below(self._top))

    def fail(self, folder: Path, luck: Luck[Any]) -> Path:
        """Write what is there after the power failed now."""
        _leave(self._top, folder, luck)
        return folder

    def _concerns(self, call: Call) -> bool:
        paths = call.paths if call.name in (*NAMING, "openat") else [Path(call.target)]
        return any(self._is_modelled(path) for path in paths)

    def _is_modelled(self, path: Path) -> bool:
        if not path.is_relative_to(self.root):
            return False
        below = path.relative_to(self.root)
        return below == Path() or self._models(below)

    def _find(self, path: Path) -> File | Folder | None:
        node: File | Folder | None = self._top
        for name in path.relative_to(self.root).parts:
            node = names(node, everything).get(name) if isinstance(node, Folder) else None
        return node

    def _name(self, path: Path, node: File | Folder | None) -> None:
        parent = self._find(path.parent)
        assert isinstance(parent, Folder), f"{path.parent} is not a known folder"
        parent.changes.append(Naming(path.name, node))

    def _opened(self, call: Call, descriptor: int) -> None:
        assert not any(flag in call.arguments for flag in (b"O_TRUNC", b"O_APPEND")), call
        [path] = call.paths
        node = self._find(path)
        if node is None:
            node = File()
            self._name(path, node)
        self._open[descriptor], self._position[descriptor] = node, 0

    def _written(self, call: Call, length: int) -> None:
        offset = self._position[call.descriptor]
        self._change(call, Write(offset, call.strings[0][:length]))
        self._position[call.descriptor] = offset + length

    def _written_at(self, call: Call, length: int) -> None:
        self._change(call, Write(call.numbers[-1], call.strings[0][:length]))

    def _resized(self, call: Call, _: int) -> None:
        self._change(call, Resize(call.numbers[-1]))

    def _change(self, call: Call, change: Change[bytearray]) -> None:
        file = self._open[call.descriptor]
        assert isinstance(file, File), call
        file.changes.append(change)

    def _renamed(self, call: Call, _: int) -> None:
        """Two changes, of two folders: either may survive without the other."""
        old, new = call.paths
        self._name(new, self._find(old))
        self._name(old, None)

    def _removed(self, call: Call, _: int) -> None:
        self._name(call.paths[0], None)

    def _made_folder(self, call: Call, _: int) -> None:
        if call.paths[0] != self.root:
            self._name(call.paths[0], Folder())

    def _synced(self, call: Call, _: int) -> None:
        node, until = self._syncs.pop(call.thread)
        if self.honest or isinstance(node, Folder):
            settle(node, until)


def _below(node: File | Folder) -> Iterator[File | Folder]:
    yield node
    if isinstance(node, Folder):
        for child in names(node, everything).values():
            yield from _below(child)


def _leave(node: File | Folder, path: Path, luck: Luck[Any]) -> None:
    if isinstance(node, File):
        path.write_bytes(content(node, luck))
        return
    path.mkdir(parents=True, exist_ok=True)
    for name, child in names(node, luck).items():
        _leave(child, path / name, luck)
