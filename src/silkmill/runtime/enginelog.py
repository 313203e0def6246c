"""The engine's own log, read back from its files while it is written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO

from silkmill.runtime.logging import FILE_NAME, FILES_KEPT


class EngineLog:
    """The files of logging.py in a directory, as one row of lines."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def lines(self) -> Iterator[bytes]:
        """JSON lines with their newlines, oldest first; nothing where no engine has written yet.

        Raises OSError."""
        with ExitStack() as stack:
            for file in reversed(self._files(stack)):
                yield from file

    def _files(self, stack: ExitStack) -> list[BinaryIO]:
        """Newest first. A file that is renamed meanwhile is met once, and none is missed."""
        names = [FILE_NAME, *(f"{FILE_NAME}.{number}" for number in range(1, FILES_KEPT + 1))]
        files: dict[int, BinaryIO] = {}
        for name in names:
            with suppress(FileNotFoundError):
                file = stack.enter_context((self._directory / name).open("rb"))
                files.setdefault(_inode(file), file)
        return list(files.values())


def _inode(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_ino
