"""Extended headers of tar archives in the pax format (POSIX.1-2017, pax, "pax Extended Header")."""

from __future__ import annotations

from collections.abc import Iterator

from silkmill.client.archive.members import BadArchive

LENGTH_DIGITS = 7
"""Enough for the longest headers that there may be: MOST_EXTENSION_BYTES of rules.py."""


def pax_fields(data: bytes) -> dict[str, str]:
    """The records `<length> <key>=<value>\\n`, each as long as it says. Raises BadArchive."""
    fields = dict(_records(data))
    if any(key.startswith("GNU.sparse.") for key in fields):
        raise BadArchive("it holds a sparse file; pack it without --sparse")
    return fields


def _records(data: bytes) -> Iterator[tuple[str, str]]:
    start = 0
    while start < len(data):
        space = data.find(b" ", start, start + LENGTH_DIGITS + 1)
        digits = data[start:space] if space > 0 else b""
        end = start + int(digits) if digits.isdigit() else 0
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if not start < end <= len(data) or data[end - 1 : end] != b"\n" or not equals:
            raise BadArchive("an extended header of it is damaged")
        yield key.decode("utf-8", "replace"), value.decode("utf-8", "surrogateescape")
        start = end
