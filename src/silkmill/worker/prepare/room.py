"""The room of a cache: what is in it, what is in use, and what goes first when it is too full."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Room:
    """Names and sizes in bytes, least recently used first. Knows of no files."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._sizes: dict[str, int] = {}
        self._in_use: Counter[str] = Counter()
        self.bytes = 0

    def use(self, name: str, size: int) -> None:
        """It is there, and was used just now."""
        self.bytes += size - self._sizes.pop(name, 0)
        self._sizes[name] = size

    def touch(self, name: str) -> None:
        """What is there was used just now."""
        self._sizes[name] = self._sizes.pop(name)

    @contextmanager
    def holding(self, names: Iterable[str]) -> Iterator[None]:
        """None of them is `surplus` inside, whether it is there already or comes then."""
        held = set(names)
        self.hold(held)
        try:
            yield
        finally:
            self.let_go(held)

    def hold(self, names: set[str]) -> None:
        """The same without an inside: until they are `let_go` as often."""
        self._in_use.update(names)

    def let_go(self, names: set[str]) -> None:
        self._in_use.subtract(names)
        for name in names:
            if not self._in_use[name]:
                del self._in_use[name]

    def idle(self) -> list[str]:
        """What is there and not in use."""
        return [name for name in self._sizes if name not in self._in_use]

    def forget(self, name: str) -> None:
        """It is there no more; a repeat changes nothing."""
        self.bytes -= self._sizes.pop(name, 0)

    def surplus(self) -> list[str]:
        """What has to go for the rest to fit; it is forgotten."""
        gone = []
        if self.bytes > self._limit:
            for name in self.idle():
                if self.bytes <= self._limit:
                    break
                self.forget(name)
                gone.append(name)
        return gone
