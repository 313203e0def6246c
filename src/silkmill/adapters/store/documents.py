"""A collection of documents that can do nothing but single-record writes on conditions, and unique keys.

It stands for the weakest database the engine must work on: no transaction, no join, no partial update that
depends on another record.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Key = str | tuple[str | int, ...]
Document = Mapping[str, Any]


class Documents:
    """Documents by unique key. A document is a mapping that is replaced, never changed in place.

    `unique`: fields of which no two documents may have the same value, unless it is None."""

    def __init__(self, unique: Sequence[str] = ()) -> None:
        self._documents: dict[Key, Document] = {}
        self._keys: list[Any] = []
        self._holders: dict[str, dict[Any, Key]] = {name: {} for name in unique}

    def get(self, key: Key) -> Document | None:
        return self._documents.get(key)

    def insert_unique(self, key: Key, document: Document) -> bool:
        """False when the key or a unique value is taken: then nothing is written."""
        if key in self._documents or self._is_taken(key, document):
            return False
        insort(self._keys, key)
        self._put(key, dict(document))
        return True

    def compare_and_set(self, key: Key, expected: Document, changes: Document) -> bool:
        """Set the fields `changes` if all fields of `expected` are stored like that, and no unique value is
        taken; else write nothing."""
        stored = self._documents.get(key)
        if stored is None or any(stored[name] != value for name, value in expected.items()):
            return False
        if self._is_taken(key, changes):
            return False
        self._put(key, {**stored, **changes})
        return True

    def compare_and_delete(self, key: Key, expected: Document) -> bool:
        """Delete it if all fields of `expected` are stored like that. True when it is gone afterwards."""
        stored = self._documents.get(key)
        if stored is not None and any(stored[name] != value for name, value in expected.items()):
            return False
        self.delete(key)
        return True

    def delete(self, key: Key) -> None:
        if key in self._documents:
            self._put(key, {})
            del self._documents[key]
            del self._keys[bisect_left(self._keys, key)]

    def holder(self, name: str, value: Any) -> Document | None:
        """The document that has this value in a unique field."""
        key = self._holders[name].get(value)
        return None if key is None else self._documents[key]

    def scan(self, start: Key) -> Iterator[tuple[Any, Document]]:
        """Keys from `start` on in order, each with its document, as they were when the scan began."""
        for key in self._keys[bisect_left(self._keys, start) :]:
            if (document := self._documents.get(key)) is not None:
                yield key, document

    def _is_taken(self, key: Key, document: Document) -> bool:
        return any(holders.get(document.get(name), key) != key for name, holders in self._holders.items())

    def _put(self, key: Key, document: Document) -> None:
        before = self._documents.get(key, {})
        self._documents[key] = document
        for name, holders in self._holders.items():
            if (value := before.get(name)) is not None:
                del holders[value]
            if (value := document.get(name)) is not None:
                holders[value] = key
