"""Hostile .zip files: what zipfile writes, with the fields changed that matter."""

from __future__ import annotations

import io
import stat
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable

from tests.faults.archives.names import BAD_NAMES, BAD_PAIRS, ESCAPED, TOML

MIB = 1 << 20
CENTRAL, END = b"PK\1\2", b"PK\5\6"
BAD_MODES = {
    "link": stat.S_IFLNK,
    "char-device": stat.S_IFCHR,
    "block-device": stat.S_IFBLK,
    "fifo": stat.S_IFIFO,
    "socket": stat.S_IFSOCK,
    "folder-by-mode": stat.S_IFDIR,
}


def zip_of(*members: tuple[str, bytes], mode: int = stat.S_IFREG, toml: bool = True) -> bytes:
    written = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")  # of a name that is there twice
        if toml:
            archive.writestr("spider.toml", TOML)
        for name, data in members:
            info = zipfile.ZipInfo("x")
            info.filename = info.orig_filename = name
            info.external_attr = (mode | 0o644) << 16
            archive.writestr(info, data, zipfile.ZIP_DEFLATED)
    return written.getvalue()


def changed(data: bytes, mark: bytes, offset: int, form: str, value: int) -> bytes:
    """The last record that begins with `mark`, with another value at `offset`."""
    at = data.rindex(mark) + offset
    return data[:at] + struct.pack(form, value) + data[at + struct.calcsize(form) :]


def hostile_zips(members: int) -> dict[str, Callable[[], bytes]]:
    """By file name; `members`: how many the most populous one has."""
    made: dict[str, Callable[[], bytes]] = {}
    for name, path in BAD_NAMES.items():
        made[name] = lambda path=path: zip_of((path, b"x"))  # type: ignore[misc]
    for name, pair in BAD_PAIRS.items():
        made[name] = lambda pair=pair: zip_of(*((path, b"x") for path in pair))  # type: ignore[misc]
    for name, mode in BAD_MODES.items():
        made[name] = lambda mode=mode: zip_of(("bad", b"/etc/passwd"), mode=mode)  # type: ignore[misc]
    made |= _lies() | _bombs(members)
    return {f"{name}.zip": build for name, build in made.items()} | {
        "slip.whl": made["slip"],
        "link.egg": made["link"],
    }


def _lies() -> dict[str, Callable[[], bytes]]:
    member = ("a", b"hello" * 100)
    return {
        "longer-than-it-says": lambda: changed(zip_of(member), CENTRAL, 24, "<I", 10),
        "longer-than-it-says-and-its-crc": lambda: _of_a_prefix(b"hello" * 100, 10),
        "shorter-than-it-says": lambda: changed(zip_of(member), CENTRAL, 24, "<I", 600),
        "says-nothing": lambda: changed(zip_of(member), CENTRAL, 24, "<I", 0),
        "says-4-gib": lambda: changed(zip_of(member), CENTRAL, 24, "<I", 0xFFFFFFF0),
        "packed-size-lies": lambda: changed(zip_of(member), CENTRAL, 20, "<I", 1 << 20),
        "bad-crc": lambda: changed(zip_of(member), CENTRAL, 16, "<I", 1),
        "encrypted": lambda: changed(zip_of(member), CENTRAL, 8, "<H", 1),
        "strongly-encrypted": lambda: changed(zip_of(member), CENTRAL, 8, "<H", 0x41),
        "bzip2": lambda: changed(zip_of(member), CENTRAL, 10, "<H", 12),
        "unknown-method": lambda: changed(zip_of(member), CENTRAL, 10, "<H", 99),
        "two-names": lambda: zip_of(("name-in-front", b"x")).replace(b"name-in-front", b"../in-the-list", 1),
        "not-utf-8": lambda: changed(zip_of(("\u00e9", b"")), CENTRAL, 46, "<H", 0xFFFF),
        "member-elsewhere": lambda: changed(zip_of(member), CENTRAL, 42, "<I", 1 << 30),
        "directory-elsewhere": lambda: changed(zip_of(member), END, 16, "<I", 1 << 30),
        "directory-before-the-beginning": lambda: changed(zip_of(member), END, 12, "<I", 1 << 30),
        "folder-with-content": lambda: zip_of(("d/", b"x"), mode=0),
        "cut-off": lambda: zip_of(member)[:-30],
        "no-zip": lambda: b"hello" * 1000,
        "empty": lambda: b"",
        "no-spider-toml": lambda: zip_of(member, toml=False),
        "toml-too-deep": lambda: zip_of(("a/b/spider.toml", TOML), toml=False),
        "two-top-folders": lambda: zip_of(("a/spider.toml", TOML), ("b/x", b""), toml=False),
        "good-then-slip": lambda: zip_of(*((f"f{n}", b"x") for n in range(500)), (f"../{ESCAPED}", b"x")),
    }


def _bombs(members: int) -> dict[str, Callable[[], bytes]]:
    return {
        "42": _forty_two,
        "50-mib": lambda: zip_of(("zeros", bytes(50 * MIB))),
        "50-mib-that-says-1-mib": lambda: changed(
            zip_of(("zeros", bytes(50 * MIB))), CENTRAL, 24, "<I", 1 << 20
        ),
        "overlapping": lambda: _overlapping(200),
        "many-folders": lambda: zip_of(*(("/".join([f"d{n}"] * 60), b"") for n in range(members // 100))),
        "many-members": lambda: _overlapping(members),
    }


def _of_a_prefix(content: bytes, length: int) -> bytes:
    """Size and check sum are those of the beginning of the content: by them alone all is well."""
    data = changed(zip_of(("a", content)), CENTRAL, 24, "<I", length)
    return changed(data, CENTRAL, 16, "<I", zlib.crc32(content[:length]))


def _forty_two() -> bytes:
    """Zips in zips in zips: of the outermost only the next layer is ever read."""
    inner = zip_of(("0", bytes(16 * MIB)), toml=False)
    for _ in range(3):
        inner = zip_of(*((f"lib {number}.zip", inner) for number in range(16)), toml=False)
    return inner


def _overlapping(count: int) -> bytes:
    """Every entry of the list is another name for the same packed megabyte."""
    data = zip_of(("f0000000", bytes(MIB)), toml=False)
    start = data.index(CENTRAL)
    entry, end = data[start : data.index(END)], data[data.index(END) :]
    entries = b"".join(entry.replace(b"f0000000", b"f%07d" % number) for number in range(count))
    end = end[:12] + struct.pack("<I", len(entries)) + end[16:]
    return data[:start] + entries + end
