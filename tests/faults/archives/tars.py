"""Hostile .tar.gz files, written header by header: no tool makes most of them."""

from __future__ import annotations

import gzip
import random
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator

from tests.faults.archives.names import BAD_NAMES, BAD_PAIRS, ESCAPED, TOML

END = bytes(1024)
MIB = 1 << 20
BAD_KINDS = {
    "link-to-etc": (tarfile.SYMTYPE, b"/etc"),
    "link-inside": (tarfile.SYMTYPE, b"spider.toml"),
    "hard-link": (tarfile.LNKTYPE, b"/etc/passwd"),
    "hard-link-inside": (tarfile.LNKTYPE, b"spider.toml"),
    "char-device": (tarfile.CHRTYPE, b""),
    "block-device": (tarfile.BLKTYPE, b""),
    "fifo": (tarfile.FIFOTYPE, b""),
    "sparse": (tarfile.GNUTYPE_SPARSE, b""),
    "unknown-kind": (b"Z", b""),
}


def header(name: bytes, size: int, kind: bytes = tarfile.REGTYPE, link: bytes = b"") -> bytes:
    """A block with its check sum. A size that is negative or large is written in base 256."""
    octal = 0 <= size < 8**11
    said = b"%011o\0" % size if octal else (size % (1 << 96) | (not size < 0) << 95).to_bytes(12, "big")
    ids, time = b"0000000\0", b"00000000000\0"
    fields = (name, b"0000644\0", ids, ids, said, time, b" " * 8, kind, link, b"ustar\x0000")
    block = struct.pack("100s8s8s8s12s12s8s1s100s255s", *fields)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def member(name: str, data: bytes = b"x") -> bytes:
    """Named by a pax header, which takes any bytes and any length."""
    return pax({"path": name}) + header(b"n", len(data)) + padded(data)


def pax(fields: dict[str, str], kind: bytes = tarfile.XHDTYPE) -> bytes:
    return extension(b"".join(record(f"{key}={value}") for key, value in fields.items()), kind)


def extension(data: bytes, kind: bytes = tarfile.XHDTYPE) -> bytes:
    return header(b"extension", len(data), kind) + padded(data)


def record(text: str) -> bytes:
    data = text.encode()
    length = len(data) + 3
    while len(b"%d %s\n" % (length, data)) > length:
        length += 1
    return b"%d %s\n" % (length, data)


GOOD = header(b"spider.toml", len(TOML)) + padded(TOML)


def tar_gz(*parts: bytes, end: bytes = END) -> bytes:
    return gzip.compress(GOOD + b"".join(parts) + end, 1)


def streamed(parts: Iterable[bytes]) -> bytes:
    """As `tar_gz`, of more than fits into memory."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    packed = [packer.compress(GOOD), *map(packer.compress, parts), packer.compress(END)]
    return b"".join(packed) + packer.flush()


def many(count: int) -> Iterator[bytes]:
    return (header(b"f%07d" % number, 0) for number in range(count))


def hostile_tars(members: int) -> dict[str, Callable[[], bytes]]:
    """By file name; `members`: how many the most populous one has."""
    made: dict[str, Callable[[], bytes]] = {}
    for name, path in BAD_NAMES.items():
        made[name] = lambda path=path: tar_gz(member(path))  # type: ignore[misc]
    for name, pair in BAD_PAIRS.items():
        made[name] = lambda pair=pair: tar_gz(*map(member, pair))  # type: ignore[misc]
    for name, (kind, link) in BAD_KINDS.items():
        made[name] = lambda kind=kind, link=link: tar_gz(header(b"bad", 0, kind, link))  # type: ignore[misc]
    made |= _lies() | _bombs(members)
    return {f"{name}.tar.gz": build for name, build in made.items()}


def _lies() -> dict[str, Callable[[], bytes]]:
    """Sizes and headers that do not tell the truth."""
    data = padded(b"x")
    return {
        "link-then-through": lambda: tar_gz(
            header(b"out", 0, tarfile.SYMTYPE, b"/tmp"), header(b"out/" + ESCAPED.encode(), 1), data
        ),
        "negative-size": lambda: tar_gz(header(b"a", -512), header(b"b", 1), data),
        "negative-offset": lambda: tar_gz(header(b"a", -1024), data),
        "negative-pax-size": lambda: tar_gz(pax({"size": "-1024"}), header(b"a", 1), data),
        "size-beyond-the-end": lambda: tar_gz(header(b"a", 5000), data),
        "size-of-petabytes": lambda: tar_gz(header(b"a", 1 << 50), data),
        "pax-size-beyond-the-end": lambda: tar_gz(pax({"size": "99999999"}), header(b"a", 1), data),
        "pax-size-of-many-digits": lambda: tar_gz(pax({"size": "9" * 5000}), header(b"a", 1), data),
        "pax-for-all": lambda: tar_gz(pax({"path": f"../{ESCAPED}"}, tarfile.XGLTYPE), header(b"a", 0)),
        "pax-sparse": lambda: tar_gz(pax({"GNU.sparse.map": "0,1"}), header(b"a", 1), data),
        "pax-record-too-long": lambda: tar_gz(extension(b"99 path=a\n"), header(b"a", 0)),
        "pax-record-of-no-length": lambda: tar_gz(extension(b"0 path=a\n"), header(b"a", 0)),
        "pax-records-that-overlap": lambda: tar_gz(extension(b"2 " * 20_000 + b"="), header(b"a", 0)),
        "pax-of-digits": lambda: tar_gz(extension(b"1" * 60_000), header(b"a", 0)),
        "pax-of-a-gigabyte": lambda: tar_gz(header(b"p", 1 << 30, tarfile.XHDTYPE)),
        "long-name-of-a-gigabyte": lambda: tar_gz(header(b"p", 1 << 30, tarfile.GNUTYPE_LONGNAME)),
        "long-name-that-slips": lambda: tar_gz(
            extension(f"../{ESCAPED}\0".encode(), tarfile.GNUTYPE_LONGNAME), header(b"a", 0)
        ),
        "folder-with-content": lambda: tar_gz(header(b"d", 1, tarfile.DIRTYPE), data),
        "not-utf-8": lambda: tar_gz(header(b"\xff\xfe", 1), data),
        "bad-check-sum": lambda: tar_gz(b"\1" + header(b"a", 0)[1:]),
        "cut-off": lambda: tar_gz(member("a", b"x" * 5000))[:-40],
        "bad-crc": lambda: tar_gz(member("a"))[:-8] + bytes(8),
        "no-tar": lambda: gzip.compress(b"hello" * 1000),
        "no-gzip": lambda: b"hello" * 1000,
        "empty": lambda: b"",
        "no-spider-toml": lambda: gzip.compress(member("a") + END),
    }


def _bombs(members: int) -> dict[str, Callable[[], bytes]]:
    zeros = bytes(MIB)
    return {
        "50-mib": lambda: streamed([header(b"zeros", 50 * MIB), *[zeros] * 50]),
        "2-gib": lambda: streamed([header(b"zeros", 2048 * MIB), *[zeros] * 2048]),
        "zeros-after-the-end": lambda: streamed([END, *[zeros] * 512]),
        "many-members": lambda: streamed(many(members)),
        "many-folders": lambda: streamed(header(b"f%07d/" % n, 0, tarfile.DIRTYPE) for n in range(members)),
        "many-pax-headers": lambda: streamed(pax({"comment": "x" * 400}) for _ in range(members)),
        "many-pax-records": lambda: streamed(_large(extension(b"5 a=\n" * 13_000) for _ in range(4000))),
        "many-long-names-of-nothing": lambda: streamed(
            _large([header(b"n", 0, tarfile.GNUTYPE_LONGNAME) * 1000] * 300)
        ),
        "late-link": lambda: streamed(
            _large([header(b"z", 240 * MIB), *[zeros] * 240, header(b"bad", 0, tarfile.SYMTYPE, b"/etc")])
        ),
        "many-empty-gzip-streams": lambda: gzip.compress(GOOD) + gzip.compress(b"") * members,
    }


def _large(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Behind so much that cannot be packed that no ratio is remarkable."""
    yield header(b"random", 3 * MIB)
    yield random.Random(1).randbytes(3 * MIB)
    yield from parts
