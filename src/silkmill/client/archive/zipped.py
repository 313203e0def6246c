"""Members of a zip archive, which a wheel and an egg are too."""

from __future__ import annotations

import errno
import stat
import struct
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import BinaryIO, cast

from silkmill.client.archive.members import PIECE_BYTES, BadArchive, Member, shown
from silkmill.client.archive.rules import Budget

DIRECTORY_BYTES = 4 << 20
"""Of the list at the end of a zip, which is read in one go: its length is checked before it is believed."""
HEADER_BYTES = 30
"""Of each member at the least, before its name and its content."""
ENCRYPTED = 0x1 | 0x40 | 0x2000
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError),
    *(ValueError, OverflowError, RuntimeError),  # bad UTF-8, numbers, what zipfile does not know
)
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def members(file: BinaryIO, budget: Budget) -> Generator[Member, None, None]:
    """All are looked at before the first is given. Raises BadArchive."""
    with translated(), zipfile.ZipFile(cast(BinaryIO, _ShortReads(file))) as archive:
        found = archive.infolist()
        for info in found:
            budget.take_member()
            budget.take_bytes(info.file_size)
            _check(info)
        _check_places(found, archive.start_dir)
        for info in found:
            yield Member(
                name=info.orig_filename,  # `filename` ends at a NUL
                is_folder=info.orig_filename.endswith("/"),
                size=info.file_size,
                mode=info.external_attr >> 16,
                content=partial(_content, archive, info),
            )


def _check(info: zipfile.ZipInfo) -> None:
    name, kind = info.orig_filename, stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise BadArchive(f"the member {shown(name)} is a link or a device; put the file itself in")
    if kind and (kind == stat.S_IFDIR) != name.endswith("/"):
        raise BadArchive(f"the member {shown(name)} is a folder by its name or by its mode, but not by both")
    if name.endswith("/") and info.file_size:
        raise BadArchive(f"the folder {shown(name)} has a content")
    if info.flag_bits & ENCRYPTED:
        raise BadArchive(f"the member {shown(name)} is encrypted; pack it without a password")
    if info.compress_type not in METHODS:
        raise BadArchive(f"the member {shown(name)} is neither stored nor deflated; use the usual method")


def _check_places(found: list[zipfile.ZipInfo], end: int) -> None:
    """Each member has bytes of its own, before the list of members."""
    for info in sorted(found, key=lambda info: info.header_offset, reverse=True):
        if info.header_offset < 0 or info.header_offset + HEADER_BYTES + info.compress_size > end:
            raise BadArchive(f"the member {shown(info.orig_filename)} reaches into what follows it")
        end = info.header_offset


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    left = info.file_size
    info.file_size += 1  # zipfile reads no further: so a content that is longer than it says is seen
    with translated(), archive.open(info) as file:
        while left >= 0 and (piece := file.read(PIECE_BYTES)):
            left -= len(piece)
            yield piece
    if left:
        raise BadArchive(f"the member {shown(info.orig_filename)} is not as long as it says")


class _ShortReads:
    """A file of which nobody reads more at once than the longest list of members."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size if 0 <= size <= DIRECTORY_BYTES else DIRECTORY_BYTES + 1)
        if len(data) > DIRECTORY_BYTES:
            raise BadArchive("its list of members is too long; deploy the unpacked folder")
        return data


@contextmanager
def translated() -> Iterator[None]:
    """What zipfile raises for a damaged or hostile archive becomes BadArchive."""
    try:
        yield
    except _DAMAGED as error:
        raise BadArchive(f"it is damaged: {error}") from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # a place before the beginning
            raise
        raise BadArchive("it is damaged: it names a place outside of itself") from error
