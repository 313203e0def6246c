"""Turns what a spider says into pieces for the spool, and keeps the facts it told about itself."""

from __future__ import annotations

from silkmill.protocol.ipc import Decoder
from silkmill.protocol.ipcparts import Bad, Error, Forged, Hello, Items, Log, Status, Text
from silkmill.protocol.logframe import STDERR, STDOUT, STDOUT_JSON, LogFramer, frame_line, system_line
from silkmill.runner.tracebacks import TracebackScan

TYPE_CHECKING = False  # the typing module would cost every runner half a megabyte
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from silkmill.protocol.attemptdir import FatalError, Outcome, Spec
    from silkmill.protocol.ipcparts import Part
    from silkmill.runner.spool import Piece

_NAMED_BAD_FRAMES = 5
_MESSAGE_LIMIT = 4096
_WRITE_BYTES = 256 * 1024


class Recorder:
    """`stdout` and `stderr` take one read each and give pieces lazily, to be taken in the order of reads."""

    def __init__(self, spec: Spec) -> None:
        self._decoder = Decoder(spec["nonce"], spec["ipc"])
        self._stdout = LogFramer(STDOUT)
        self._stderr = LogFramer(STDERR)
        self._items_limit = spec["limits"]["items"]
        self.tracebacks = TracebackScan()
        self.said_hello = False
        self.status: bytes | None = None
        self.progress: float | None = None
        self.errors = 0
        self.bad_frames = 0
        self.fatal: FatalError | None = None
        self.items_taken = 0
        self.items_dropped = 0
        self._other_lines = spec["log_lines"]

    @property
    def log_lines(self) -> int:
        """Lines of the log, as frames, that were given out so far."""
        return self._stdout.lines + self._stderr.lines + self._other_lines

    @property
    def items_limit_reached(self) -> bool:
        return bool(self._items_limit) and self.items_taken >= self._items_limit

    def stdout(self, data: bytes, time_ns: int) -> Iterator[Piece]:
        return self._record(self._decoder.feed(data), time_ns)

    def stderr(self, data: bytes, time_ns: int) -> Iterator[Piece]:
        self.tracebacks.feed(data, time_ns)
        for frames in self._stderr.feed(data, time_ns):
            yield "log", frames, 0

    def end_of_stdout(self, time_ns: int) -> Iterator[Piece]:
        yield from self._record(self._decoder.finish(), time_ns)
        yield "log", self._stdout.finish(time_ns), 0

    def end_of_stderr(self, time_ns: int) -> Iterator[Piece]:
        self.tracebacks.finish()
        yield "log", self._stderr.finish(time_ns), 0

    def closing_notes(self, time_ns: int) -> Iterator[Piece]:
        """What was counted and not told one by one."""
        if self.bad_frames > _NAMED_BAD_FRAMES:
            yield from self.note(f"{self.bad_frames} bad frames in all, kept as log lines", time_ns)
        if self._decoder.forged > 1:
            forged = f"{self._decoder.forged} frames without the nonce in all, kept as log lines"
            yield from self.note(forged, time_ns)
        if self.items_dropped:
            yield from self.note(f"{self.items_dropped} items beyond the limit were dropped", time_ns)

    def note(self, text: str, time_ns: int) -> Iterator[Piece]:
        """A line of our own."""
        yield self._whole(system_line(text, time_ns))

    def describe(self, outcome: Outcome) -> None:
        """Write what the spider told into the outcome."""
        outcome["traceback"] = self.tracebacks.text
        outcome["traceback_ends_stderr"] = self.tracebacks.ends_stream
        outcome["fatal"] = self.fatal
        outcome["errors"] = self.errors
        outcome["bad_frames"] = self.bad_frames
        outcome["progress"] = self.progress

    def _record(self, parts: Iterable[Part], time_ns: int) -> Iterator[Piece]:
        """Small items and texts of one read are joined: one write for many frames."""
        lines: list[bytes] = []
        count = size = 0
        for part in parts:
            if isinstance(part, Items):
                lines_taken, taken = self._within_limit(part)
                lines.append(lines_taken)
                count += taken
                size += len(lines_taken)
                if size >= _WRITE_BYTES:
                    yield "items", b"".join(lines), count
                    lines, count, size = [], 0, 0
            elif isinstance(part, Text):
                for frames in self._stdout.feed(part.data, time_ns):
                    yield "log", frames, 0
            elif isinstance(part, Log):
                yield self._whole(frame_line(STDOUT_JSON, part.payload, time_ns))
            else:
                note = self._take(part)
                if note:
                    yield from self.note(note, time_ns)
        if count:
            yield "items", b"".join(lines), count

    def _within_limit(self, items: Items) -> tuple[bytes, int]:
        room = self._items_limit - self.items_taken if self._items_limit else items.count
        taken = min(room, items.count)
        self.items_taken += taken
        self.items_dropped += items.count - taken
        if taken == items.count:
            return items.lines, taken
        return b"".join(item + b"\n" for item in items.items[:taken]), taken

    def _take(self, part: Part) -> str | None:
        """Keep a fact; returns the line to log about it, if any."""
        match part:
            case Status(payload, progress):
                self.status = payload
                self.progress = self.progress if progress is None else progress
            case Error(error_class, message, fatal):
                self.errors += 1
                if fatal and self.fatal is None:
                    self.fatal = {"class": error_class[:_MESSAGE_LIMIT], "message": message[:_MESSAGE_LIMIT]}
            case Hello():
                self.said_hello = True
            case Bad(reason):
                self.bad_frames += 1
                if self.bad_frames <= _NAMED_BAD_FRAMES:
                    return f"bad frame, kept as a log line: {reason}"
            case Forged(excerpt):
                return f"frame without the nonce, kept as a log line: {excerpt.decode('utf-8', 'replace')}"
        return None

    def _whole(self, frames: bytes) -> Piece:
        """One line that belongs to no stream; a long one is several frames."""
        self._other_lines += frames.count(b"\n")
        return "log", frames, 0
