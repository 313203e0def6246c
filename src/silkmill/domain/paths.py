"""Paths of a version's files: relative, plain, and such that all of them can lie in one folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

LONGEST_NAME = 255
"""Bytes of one name: what Linux file systems take."""
LONGEST_PATH = 1024
DEEPEST = 64


def fault_of(path: str) -> str | None:
    """Why a path cannot be one of a version's files; None: it can."""
    names = path.split("/")
    if path.startswith("/"):
        return "is absolute"
    if ".." in names:
        return "leads out of its folder"
    if "" in names or "." in names:
        return "is not written plainly"
    if "\\" in path or "\0" in path:
        return "holds a backslash or a NUL byte"
    return _text_fault(path, names)


def _text_fault(path: str, names: list[str]) -> str | None:
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        return "is not UTF-8"
    if len(encoded) > LONGEST_PATH or any(len(name.encode()) > LONGEST_NAME for name in names):
        return f"is longer than {LONGEST_PATH} bytes, or a name in it than {LONGEST_NAME}"
    return f"lies more than {DEEPEST} folders deep" if len(names) > DEEPEST + 1 else None


class Tree:
    """Paths as they come, each of which must fit beside those before. A clash ends its use."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def clash_of_file(self, path: str) -> str | None:
        """Add a file. What is wrong with it, or None."""
        if path in self._files:
            return f"{path!r} is there twice"
        if path in self._folders:
            return f"{path!r} is both a file and a folder"
        self._files.add(path)
        return self._clash_of_folders(folders_of(path))

    def clash_of_folder(self, path: str) -> str | None:
        return self._clash_of_folders((path, *folders_of(path)))

    def _clash_of_folders(self, folders: Iterable[str]) -> str | None:
        for folder in folders:
            if folder in self._folders:  # and so are those around it
                return None
            if folder in self._files:
                return f"{folder!r} is both a file and a folder"
            self._folders.add(folder)
        return None


def folders_of(path: str) -> Iterator[str]:
    """The folders that a path lies in, the innermost first."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
