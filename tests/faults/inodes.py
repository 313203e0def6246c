"""Files and folders with what was synced of them, the changes since, and the luck those may have."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

SECTOR, PAGE = 512, 4096
Held = TypeVar("Held", contravariant=True)


class Change(Protocol[Held]):
    """Of the bytes of a file, or of the names in a folder."""

    def apply(self, content: Held) -> None: ...

    def pieces(self, unit: int) -> Iterator[Change[Held]]:
        """What can survive without the rest of it; `unit` is what the disk writes whole."""
        ...


@dataclass(frozen=True, slots=True)
class Write:
    offset: int
    data: bytes

    def apply(self, content: bytearray) -> None:
        if len(content) < self.offset:
            Resize(self.offset).apply(content)
        content[self.offset : self.offset + len(self.data)] = self.data

    def pieces(self, unit: int) -> Iterator[Write]:
        at, end = self.offset, self.offset + len(self.data)
        while at < end:
            border = min(end, (at // unit + 1) * unit)
            yield Write(at, self.data[at - self.offset : border - self.offset])
            at = border


@dataclass(frozen=True, slots=True)
class Resize:
    size: int

    def apply(self, content: bytearray) -> None:
        del content[self.size :]
        content.extend(bytes(self.size - len(content)))

    def pieces(self, unit: int) -> Iterator[Resize]:
        yield self


@dataclass(frozen=True, slots=True)
class Naming:
    """The name becomes that of another file or folder, or of none."""

    name: str
    node: File | Folder | None

    def apply(self, content: dict[str, File | Folder]) -> None:
        content.pop(self.name, None)
        if self.node is not None:
            content[self.name] = self.node

    def pieces(self, unit: int) -> Iterator[Naming]:
        yield self


@dataclass(eq=False, slots=True)
class File:
    """`synced`: the bytes that a power failure leaves; `changes` came later, `settled` were before."""

    synced: bytearray = field(default_factory=bytearray)
    changes: list[Change[bytearray]] = field(default_factory=list)
    settled: int = 0


@dataclass(eq=False, slots=True)
class Folder:
    """The same of names."""

    synced: dict[str, File | Folder] = field(default_factory=dict)
    changes: list[Change[dict[str, File | Folder]]] = field(default_factory=list)
    settled: int = 0


Luck = Callable[[list[Change[Held]]], list[Change[Held]]]
"""Which changes survive, in their order, of those that were not synced."""


def nothing(changes: list[Change[Held]]) -> list[Change[Held]]:
    return []


def everything(changes: list[Change[Held]]) -> list[Change[Held]]:
    """As after a mere kill."""
    return changes


class Some:
    """Sectors or pages of writes, single names: any of them, or those that came first, the last torn."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._share = chance.choice((0.1, 0.5, 0.9))
        self._unit = chance.choice((SECTOR, PAGE))
        self._in_order = chance.random() < 0.5

    def __call__(self, changes: list[Change[Held]]) -> list[Change[Held]]:
        pieces = [piece for change in changes for piece in change.pieces(self._unit)]
        if self._in_order:
            return pieces[: self._chance.randint(0, len(pieces))]
        return [piece for piece in pieces if self._chance.random() < self._share]


def content(file: File, luck: Luck[bytearray]) -> bytearray:
    found = bytearray(file.synced)
    for change in luck(file.changes):
        change.apply(found)
    return found


def names(folder: Folder, luck: Luck[dict[str, File | Folder]]) -> dict[str, File | Folder]:
    found = dict(folder.synced)
    for change in luck(folder.changes):
        change.apply(found)
    return found


def settle(node: File | Folder, until: int) -> None:
    """What came before this count of changes is synced now."""
    number = max(0, until - node.settled)
    for change in node.changes[:number]:
        change.apply(node.synced)  # type: ignore[arg-type]
    del node.changes[:number]
    node.settled += number
