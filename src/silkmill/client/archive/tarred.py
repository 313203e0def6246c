"""Members of a gzipped tar archive, read once from front to back.

The standard library reads each header; what extends headers (pax, GNU) is read here, because its own way
through an archive seeks where the archive says, and reads as much as it says.
"""

from __future__ import annotations

import tarfile
from collections.abc import Generator, Iterator
from functools import partial
from typing import BinaryIO

from silkmill.client.archive.gunzip import Gunzip
from silkmill.client.archive.members import PIECE_BYTES, BadArchive, Member, shown
from silkmill.client.archive.pax import pax_fields
from silkmill.client.archive.rules import Budget

BLOCK = tarfile.BLOCKSIZE
FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
PAX = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)


def members(file: BinaryIO, budget: Budget) -> Generator[Member, None, None]:
    """One by one: what follows is not known yet. Raises BadArchive."""
    stream = Gunzip(file, budget)
    name, size = None, None  # what an extension says of the member after it
    while (header := _header(stream)) is not None:
        budget.take_member()
        if header.type in PAX:
            fields = pax_fields(_extension(stream, header, budget))
            name, size = fields.get("path", name), _size(fields.get("size"), size)
        elif header.type == tarfile.XGLTYPE:
            _check_global(pax_fields(_extension(stream, header, budget)))
        elif header.type == tarfile.GNUTYPE_LONGNAME:
            name = _text(_extension(stream, header, budget).rstrip(b"\0"))
        else:
            yield from _member(stream, header, header.name if name is None else name, size)
            name = size = None
    stream.read_to_end()


def _header(stream: Gunzip) -> tarfile.TarInfo | None:
    """None at the end: a block of zeros, or none at all."""
    block = stream.read(BLOCK)
    if not block.strip(b"\0"):
        return None
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise BadArchive(f"it is damaged: {error}") from error
    if header.size < 0:
        raise BadArchive(f"the member {shown(header.name)} has a negative size")
    return header


def _member(stream: Gunzip, header: tarfile.TarInfo, name: str, size: int | None) -> Iterator[Member]:
    is_folder = header.type == tarfile.DIRTYPE
    if not is_folder and header.type not in FILES:
        raise BadArchive(f"the member {shown(name)} is a link, a device or sparse; put the file itself in")
    size = header.size if size is None else size
    if is_folder and size:
        raise BadArchive(f"the folder {shown(name)} has a content")
    yield Member(name, is_folder, size, header.mode, partial(_content, stream, name, size))
    stream.read(-size % BLOCK)


def _content(stream: Gunzip, name: str, size: int) -> Iterator[bytes]:
    left = size
    while left:
        piece = stream.read(min(left, PIECE_BYTES))
        if not piece:
            raise BadArchive(f"it ends in the member {shown(name)}")
        left -= len(piece)
        yield piece


def _extension(stream: Gunzip, header: tarfile.TarInfo, budget: Budget) -> bytes:
    budget.take_extension(header.size)
    data = stream.read(header.size)
    stream.read(-header.size % BLOCK)
    return data


def _size(text: str | None, before: int | None) -> int | None:
    if text is None:
        return before
    if not text.isdecimal() or len(text) > 18:
        raise BadArchive(f"{shown(text)} is no size of a member")
    return int(text)


def _check_global(fields: dict[str, str]) -> None:
    """git writes one with a comment in it."""
    if fields.keys() & {"path", "size", "linkpath"}:
        raise BadArchive("it has one header for all members; pack it with GNU tar or zip")


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
