"""A recording of one process's system calls, made by strace: in the order in which they began and ended."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.engine.server import wait_for

CALLS = (
    "openat,write,writev,pwrite64,ftruncate,fsync,fdatasync,rename,unlink,rmdir,mkdir,sendto,sendmsg,execve"
)
LONGEST = 1 << 24

_LINE = re.compile(rb"(\d+) +(?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)", re.DOTALL).fullmatch
_RESULT = re.compile(rb"\) += (-?\d+|\?|0x[0-9a-f]+)[^\"]*\Z").search
_HEX = re.compile(rb"\\x([0-9a-f]{2})")
_STRING = re.compile(rb'"([^"]*)"(\.\.\.)?')  # every character is printed as \xHH
_DESCRIPTOR = re.compile(rb"(?:\d+|AT_FDCWD)<([^>]*)>")


@dataclass(frozen=True, slots=True)
class Call:
    """A system call. `arguments` are as strace prints them; `result` is None until it has ended."""

    thread: int
    name: str
    arguments: bytes
    result: int | None = None

    @property
    def strings(self) -> list[bytes]:
        """The texts and buffers among the arguments, in their order."""
        found = _STRING.findall(self.arguments)
        assert not any(cut for _, cut in found), f"a buffer of {self.name} was not recorded whole"
        return [bytes.fromhex(text.replace(b"\\x", b"").decode()) for text, _ in found]

    @property
    def paths(self) -> list[Path]:
        """The paths among the arguments; a relative one starts at the folder that is given before it."""
        bases = [Path(_unescaped(path)) for path in _DESCRIPTOR.findall(self.arguments)]
        texts = [Path(text.decode()) for text in self.strings]
        return [bases[min(at, len(bases) - 1)] / text if bases else text for at, text in enumerate(texts)]

    @property
    def descriptor(self) -> int:
        """The first argument."""
        return int(self.arguments[: self.arguments.index(b"<")])

    @property
    def target(self) -> str:
        """What the first descriptor among the arguments is: a path, or a socket with its number."""
        found = _DESCRIPTOR.search(self.arguments)
        return _unescaped(found[1]) if found else ""

    @property
    def numbers(self) -> list[int]:
        """The arguments after the last text or descriptor."""
        return [
            int(part) for part in re.split(rb"[>\"\]}],?", self.arguments)[-1].split(b",") if part.strip()
        ]


def recorder(recording: Path) -> list[str]:
    """The command before a command that records it with all its threads, but no program that it starts.

    The recorded program is the process that was started, strace a grandchild of it."""
    return [
        *("strace", "-D", "-f", "-b", "execve", "-q", "-y", "-xx", "-s", str(LONGEST), "-o", str(recording)),
        *("-e", f"trace={CALLS}"),
    ]


def moments(recording: Path) -> Iterator[Call]:
    """Each call twice: when it began, without a result, and when it had ended, with it.

    What happens between two moments of this order happened between them in the recorded process, too: strace
    stops each thread at both."""
    under_way: dict[int, Call] = {}
    with recording.open("rb") as lines:
        for line in lines:
            found = _LINE(line.rstrip(b"\n"))
            if found is None:
                continue
            thread, rest = int(found[1]), found[4]
            if found[3]:
                call = Call(thread, found[3].decode(), _arguments(rest))
                yield call
                under_way[thread] = call
            if not rest.endswith(b"<unfinished ...>") and thread in under_way:
                yield from _ended(under_way.pop(thread), rest)


def wait_recorded(recording: Path, pid: int) -> None:
    """strace outlives what it records by a little: until it has written that the process has ended."""
    end = re.compile(rb"^%d +\+\+\+ " % pid, re.MULTILINE)

    def tail() -> bytes:
        with recording.open("rb") as file:
            file.seek(max(0, recording.stat().st_size - 4096))
            return file.read()

    wait_for(lambda: end.search(tail()), "the recording to be complete")


def _ended(call: Call, rest: bytes) -> Iterator[Call]:
    found = _RESULT(rest)
    if found and found[1] != b"?":
        yield Call(call.thread, call.name, call.arguments, int(found[1], 0))


def _arguments(rest: bytes) -> bytes:
    if rest.endswith(b"<unfinished ...>"):
        return rest.removesuffix(b"<unfinished ...>").rstrip()
    found = _RESULT(rest)
    return rest[: found.start()] if found else rest


def _unescaped(text: bytes) -> str:
    return _HEX.sub(lambda found: bytes.fromhex(found[1].decode()), text).decode()
