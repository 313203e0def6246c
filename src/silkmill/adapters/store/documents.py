"""A collection of documents that can do nothing but single-record writes on conditions, and unique keys.

It stands for the weakest database the engine must work on: no transaction, no join, no partial update that
depends on another record.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping
from typing import Any

Key = str | tuple[str | int, ...]
Document = Mapping[str, Any]


class Documents:
    """Documents by unique key. A document is a mapping that is replaced, never changed in place."""

    def __init__(self) -> None:
        self._documents: dict[Key, Document] = {}
        self._keys: list[Any] = []

    def get(self, key: Key) -> Document | None:
        return self._documents.get(key)

    def insert_unique(self, key: Key, document: Document) -> bool:
        """False when the key is taken: then nothing is written."""
        if key in self._documents:
            return False
        self._documents[key] = dict(document)
        insort(self._keys, key)
        return True

    def compare_and_set(self, key: Key, expected: Document, changes: Document) -> bool:
        """Set the fields `changes` if all fields of `expected` are stored like that; else write nothing."""
        stored = self._documents.get(key)
        if stored is None or any(stored[name] != value for name, value in expected.items()):
            return False
        self._documents[key] = {**stored, **changes}
        return True

    def compare_and_delete(self, key: Key, expected: Document) -> bool:
        """Delete it if all fields of `expected` are stored like that. True when it is gone afterwards."""
        stored = self._documents.get(key)
        if stored is not None and any(stored[name] != value for name, value in expected.items()):
            return False
        self.delete(key)
        return True

    def delete(self, key: Key) -> None:
        if self._documents.pop(key, None) is not None:
            del self._keys[bisect_left(self._keys, key)]

    def scan(self, start: Key) -> Iterator[tuple[Any, Document]]:
        """Keys from `start` on in order, each with its document, as they were when the scan began."""
        for key in self._keys[bisect_left(self._keys, start) :]:
            if (document := self._documents.get(key)) is not None:
                yield key, document
