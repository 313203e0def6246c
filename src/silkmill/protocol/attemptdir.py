"""The attempt directory: the files in which a runner leaves what its spider said, and how to read them back.

    spec.json               what to run (written by the agent, read once by the runner)
    log.<offset>            framed log, append-only segments named after their first byte's offset
    items.<offset>          one item a line, the same way
    status.json             latest STATUS, counters, and what the process tree uses, replaced by rename
    outcome.json            how it ended, written last, by rename
    work/                   the spider's working directory

A segment is closed when a later one exists. The agent may unlink closed segments that are acknowledged.
The agent may write the first log segment before a runner has the attempt; the runner goes on in another.
A directory that is used again begins with an empty `log.0`, `spec.json.new` and `outcome.json.new`.
"""

from __future__ import annotations

import json
import os

from silkmill.protocol.logframe import missing_end

TYPE_CHECKING = False  # the typing module would cost every runner half a megabyte
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Literal, TypedDict

    Stream = Literal["log", "items"]

    class Limits(TypedDict):
        """Seconds and bytes; 0 means no limit."""

        runtime: float
        stall: float
        grace: float
        items: int
        spool: int

    class Spec(TypedDict):
        version: int
        task: str
        attempt: int
        argv: list[str]
        env: dict[str, str]
        cwd: str
        nonce: str
        boot_id: str
        ipc: Literal["open", "strict"]
        stdin: Literal["open", "null"]
        limits: Limits
        containment: Literal["auto", "walk"]
        environments: list[str]  # the keys of those that it uses, which stay as long as it does
        log_size: int  # the head of the log, bytes and lines, which the agent has written
        log_lines: int

    class SpawnFailure(TypedDict):
        errno: int
        kind: Literal[
            "missing", "not_executable", "bad_interpreter", "bad_directory", "arguments_too_long", "other"
        ]
        message: str

    # "class" is a keyword, hence the functional form. The first ERROR message that said it was fatal.
    FatalError = TypedDict("FatalError", {"class": str, "message": str})

    class Outcome(TypedDict):
        """The facts of an ended attempt; what they mean is decided elsewhere."""

        started: bool
        pid: int | None
        started_at: str | None
        ended_at: str
        exit_code: int | None
        signal: int | None
        signal_sender: Literal["us", "unknown"] | None
        spawn_error: SpawnFailure | None
        limit: Literal["runtime", "stall", "items"] | None
        cancelled: bool  # a cancel step was taken before the main process ended
        lost: bool
        verified: bool  # the process tree was proven empty
        survivors: list[int]
        leftovers: int  # processes killed after the main one had ended
        traceback: str | None
        traceback_ends_stderr: bool
        fatal: FatalError | None
        errors: int
        bad_frames: int
        progress: float | None
        log_size: int
        log_lines: int
        items_size: int
        items_count: int
        max_rss_bytes: int | None  # of the tree or of the largest process; null when none was started
        max_processes: int | None  # null when the tree was never looked at
        cpu_seconds: float | None
        read_bytes: int | None
        written_bytes: int | None

    class Usage(TypedDict):
        """A look at the living processes of the tree. Sums over all of them; CPU and I/O of the dead too."""

        rss_bytes: int
        processes: int
        cpu_seconds: float
        read_bytes: int | None  # from storage; null where a living process may not be looked at
        written_bytes: int | None
        max_rss_bytes: int  # the most that a look has found so far
        max_processes: int

    class Status(TypedDict):
        status: Any  # the payload of the latest STATUS message, null when there was none
        progress: float | None  # the latest that a STATUS message told
        errors: int
        bad_frames: int
        log_lines: int
        items: int
        usage: Usage | None  # null until the first look
        at: str


SPEC_VERSION = 1
SEGMENT_BYTES = 8 * 1024 * 1024
SPEC_FILE = "spec.json"
STATUS_FILE = "status.json"
OUTCOME_FILE = "outcome.json"
WORK_DIRECTORY = "work"
UNFINISHED = ".new"
"""What is being written has this at the end of its name, until it is renamed."""


# Made once: json.dumps makes a new one for each call with options.
_encoder = json.JSONEncoder(separators=(",", ":"))

_NUMBER = (int, float)
_LIMITS_SHAPE = {"runtime": _NUMBER, "stall": _NUMBER, "grace": _NUMBER, "items": int, "spool": int}
_SPEC_SHAPE = {
    "version": int,
    "task": str,
    "attempt": int,
    "argv": list,
    "env": dict,
    "cwd": str,
    "nonce": str,
    "boot_id": str,
    "ipc": str,
    "stdin": str,
    "limits": dict,
    "containment": str,
    "environments": list,
    "log_size": int,
    "log_lines": int,
}


class BadSpec(ValueError):
    """spec.json is missing, unreadable, or of another version."""

    def __init__(self, directory: str, why: str) -> None:
        super().__init__(f"{os.path.join(directory, SPEC_FILE)}: {why}")


def encode(value: object) -> bytes:
    """JSON in ASCII: escapes keep what UTF-8 cannot say (an argument that is not UTF-8)."""
    return _encoder.encode(value).encode("ascii")


def write_json(path: str, value: object) -> None:
    replace_file(path, encode(value))


def replace_file(path: str, content: bytes) -> None:
    """Replace the file at `path` as a whole: readers see the old or the new one, never a part."""
    temporary = path + UNFINISHED
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        overwrite(descriptor, content)
    finally:
        os.close(descriptor)
    os.rename(temporary, path)


def overwrite(descriptor: int, content: bytes) -> None:
    """Give a file this content and no other. Raises OSError; a repeat writes all of it again.

    It is never cut to nothing before: what a file gets after that, ext4 writes out when it is closed."""
    written = 0
    while written < len(content):
        written += os.pwrite(descriptor, content[written:], written)
    if os.fstat(descriptor).st_size > len(content):
        os.ftruncate(descriptor, len(content))


def read_json(path: str) -> Any | None:
    """The value in the file at `path`, or None when there is no such file."""
    data = _read(path)
    return None if data is None else json.loads(data.decode())


def _read(path: str) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return os.read(descriptor, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)


def write_spec(directory: str, spec: Spec) -> None:
    write_json(os.path.join(directory, SPEC_FILE), spec)


def read_spec(directory: str) -> Spec:
    """Read spec.json. Raises BadSpec."""
    try:
        spec: Any = read_json(os.path.join(directory, SPEC_FILE))
    except (OSError, ValueError) as error:
        raise BadSpec(directory, str(error)) from error
    _check_shape(directory, spec, _SPEC_SHAPE)
    _check_shape(directory, spec["limits"], _LIMITS_SHAPE)
    if spec["version"] != SPEC_VERSION:
        raise BadSpec(directory, f"version {spec['version']}, this runner reads version {SPEC_VERSION}")
    checked: Spec = spec
    return checked


def _check_shape(directory: str, value: Any, shape: Mapping[str, Any]) -> None:
    if not isinstance(value, dict):
        raise BadSpec(directory, "not an object" if value is not None else "no such file, or null")
    for key, kind in shape.items():
        if not isinstance(value.get(key), kind):
            raise BadSpec(directory, f"{key} is {value.get(key)!r}")


def read_outcome(directory: str) -> Outcome | None:
    """The outcome, or None while the attempt has not ended (or its runner was killed)."""
    outcome: Outcome | None = read_json(os.path.join(directory, OUTCOME_FILE))
    return outcome


def read_status(directory: str) -> bytes | None:
    """The text of a `Status`, or None while nothing was told. Its numbers are those of the spider: any."""
    return _read(os.path.join(directory, STATUS_FILE))


class Segment:
    """One segment file as it is now: `first` is the stream offset of its first byte, `size` its bytes."""

    __slots__ = ("first", "path", "size")

    def __init__(self, path: str, first: int, size: int) -> None:
        self.path = path
        self.first = first
        self.size = size

    @property
    def end(self) -> int:
        return self.first + self.size


def segment_path(directory: str, stream: Stream, first: int) -> str:
    return os.path.join(directory, f"{stream}.{first}")


def list_segments(directory: str, stream: Stream) -> list[Segment]:
    """The segments of a stream that still exist, in order; the last one may grow."""
    found = []
    with os.scandir(directory) as entries:
        for entry in entries:
            name, _, first = entry.name.partition(".")
            if name == stream and first.isdecimal():
                found.append(Segment(entry.path, int(first), entry.stat().st_size))
    return sorted(found, key=lambda segment: segment.first)


def stream_size(directory: str, stream: Stream) -> int:
    """How many bytes the stream has so far, unlinked segments counted."""
    segments = list_segments(directory, stream)
    return segments[-1].end if segments else 0


def count_log_lines(directory: str) -> int | None:
    """Frames of a log of one segment; None for a longer one, whose beginning may have been unlinked."""
    segments = list_segments(directory, "log")
    if not segments:
        return 0
    if len(segments) > 1 or segments[0].first:
        return None
    return _read_at(segments[0].path, 0, segments[0].size).count(b"\n")


def _read_at(path: str, position: int, length: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(descriptor, length, position)
    finally:
        os.close(descriptor)


def repair_tails(directory: str) -> None:
    """Make the streams of a killed runner whole: complete a torn frame, drop a torn item line.

    Call it only when no runner owns the directory any more; a repeat changes nothing.
    """
    _complete_log(directory)
    _drop_torn_item(directory)


def append_log(directory: str, frames: bytes) -> None:
    """Add whole frames to the log of an attempt that no runner owns."""
    segments = list_segments(directory, "log")
    path = segments[-1].path if segments else segment_path(directory, "log", 0)
    with open(path, "ab", buffering=0) as file:
        file.write(frames)


def _complete_log(directory: str) -> None:
    segments = list_segments(directory, "log")
    if segments:
        torn = _torn_tail(segments[-1])
        append_log(directory, missing_end(torn))


def _drop_torn_item(directory: str) -> None:
    segments = list_segments(directory, "items")
    if segments:
        last = segments[-1]
        os.truncate(last.path, last.size - len(_torn_tail(last)))


def _torn_tail(segment: Segment) -> bytes:
    """The bytes after the last newline of a segment, looked for from its end."""
    tail = b""
    position = segment.size
    while position > 0:
        length = min(position, 64 * 1024)
        position -= length
        tail = _read_at(segment.path, position, length) + tail
        newline = tail.rfind(b"\n")
        if newline >= 0:
            return tail[newline + 1 :]
    return tail
