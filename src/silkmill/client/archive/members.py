"""What an archive's readers say of it: one member after another, nothing of it believed yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from silkmill.client.errors import BAD_INPUT, ClientError

PIECE_BYTES = 1 << 18


class BadArchive(ClientError):
    """The archive is not unpacked: nothing of it was kept."""

    exit_code = BAD_INPUT


@dataclass(frozen=True, slots=True)
class Member:
    """A file or a folder; other kinds are refused by the readers. `name` as it is written in the archive.

    `content` gives exactly `size` bytes, or raises BadArchive. A file's is read before the next member."""

    name: str
    is_folder: bool
    size: int
    mode: int
    content: Callable[[], Iterator[bytes]]


def shown(name: str) -> str:
    """For a message: as a literal, and no longer than a line."""
    return repr(name if len(name) <= 80 else f"{name[:60]}…{name[-19:]}")
