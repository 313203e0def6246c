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

    @contextmanager
    def holding(self, names: Iterable[str]) -> Iterator[None]:
        """None of them is `surplus` inside, whether it is there already or comes then."""
        held = set(names)
        self._in_use.update(held)
        try:
            yield
        finally:
            self._in_use.subtract(held)
            for name in held:
                if not self._in_use[name]:
                    del self._in_use[name]

    def surplus(self) -> list[str]:
        """What has to go for the rest to fit; it is forgotten."""
        gone = []
        if self.bytes > self._limit:
            for name in [name for name in self._sizes if name not in self._in_use]:
                if self.bytes <= self._limit:
                    break
                self.bytes -= self._sizes.pop(name)
                gone.append(name)
        return gone
