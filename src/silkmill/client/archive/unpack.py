"""Unpacks an archive into a private folder: all of it or nothing, and nowhere else."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from silkmill.client.archive import tarred, zipped
from silkmill.client.archive.members import BadArchive, Member
from silkmill.client.archive.rules import Budget, Names, is_of_macos
from silkmill.client.folder import MANIFESTS

Reader = Callable[[BinaryIO, Budget], Generator[Member, None, None]]
READERS: dict[str, Reader] = {
    ".zip": zipped.members,
    ".whl": zipped.members,
    ".egg": zipped.members,
    ".tar.gz": tarred.members,
    ".tgz": tarred.members,
}
SUFFIXES = ", ".join(READERS)


def is_archive(path: Path) -> bool:
    """By its name; what it really is will show."""
    return path.name.lower().endswith(tuple(READERS)) and path.is_file()


@contextmanager
def unpacked(archive: Path) -> Iterator[Path]:
    """The folder in an archive that is deployed; it is gone afterwards. Raises BadArchive, OSError."""
    with tempfile.TemporaryDirectory(prefix="silkmill-") as private:
        try:
            top = _unpack(archive, Path(private))
        except BadArchive as bad:
            raise BadArchive(f"{archive} is not deployed: {bad}") from bad
        yield Path(private, top)


def _unpack(archive: Path, folder: Path) -> str:
    """In two passes: nothing is written of an archive that has a fault anywhere. Answers with its top."""
    paths: set[str] = set()

    def look(path: str, member: Member) -> None:
        paths.add(path)
        _pass_over(member)

    _walk(archive, look)
    top = _top_of(paths)
    _walk(archive, lambda path, member: _write(folder / path, member))
    return top


def _top_of(paths: set[str]) -> str:
    """Where the spider.toml or scrapy.cfg is. Many archives hold one folder, and everything in it."""
    tops = {path.partition("/")[0] for path in paths}
    for top in ("", *tops) if len(tops) == 1 else ("",):
        if any(str(PurePosixPath(top, name)) in paths for name in MANIFESTS):
            return top
    named = " and no ".join(MANIFESTS)
    raise BadArchive(f"it holds no {named}, neither at its top nor in the only folder there")


def _walk(archive: Path, take: Callable[[str, Member], None]) -> None:
    """Give all files of a spider to `take`, with their checked paths."""
    suffix = next(suffix for suffix in READERS if archive.name.lower().endswith(suffix))
    with archive.open("rb") as file:
        budget, names = Budget(os.fstat(file.fileno()).st_size), Names()
        with closing(READERS[suffix](file, budget)) as members:
            for member in members:
                path = names.path_of(member)
                if path is None or member.is_folder:
                    continue
                if is_of_macos(path):
                    _pass_over(member)
                else:
                    take(path, member)


def _pass_over(member: Member) -> None:
    """It is read all the same: what is damaged is refused."""
    for _ in member.content():
        continue


def _write(target: Path, member: Member) -> None:
    """Folders without files are no part of a version, so they are made for files only."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        for piece in member.content():
            file.write(piece)
    target.chmod(_mode(member.mode))


def _mode(mode: int) -> int:
    """Archives that know no modes say 0. Whatever it is, we must be able to read the file."""
    return mode & 0o777 | stat.S_IRUSR if mode else 0o644
