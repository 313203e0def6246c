"""Takes the frames that are wanted out of the pages of a log, which it sees one after the other."""

from __future__ import annotations

from dataclasses import dataclass, field

from silkmill.master.logs.needle import may_match
from silkmill.master.logs.pages import TIME_BYTES, LogPage, lines_of
from silkmill.master.logs.wanted import Wanted
from silkmill.protocol.logframe import STDERR, STDOUT, STDOUT_JSON, parse_frame
from silkmill.protocol.loglevel import Levels
from silkmill.protocol.logrecord import parse_record

_CUT_MESSAGE = b" %b P " % STDOUT_JSON


@dataclass(frozen=True, slots=True)
class Hit:
    """A frame that is wanted, with its newline, at its offset in the log."""

    offset: int
    line: bytes = field(repr=False)

    @property
    def text(self) -> bytes:
        return self.line.split(b" ", 3)[-1][:-1]


class Sieve:
    """Not for several threads at once. A LOG message that was cut into several frames is given as a whole, at
    its last one. It tries no expression: a frame that only an expression can refuse is a hit."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self._literals = wanted.literals
        self._may_match = may_match(wanted.needle)
        self._levels = {STDOUT: Levels(), STDERR: Levels()}
        self._pieces: list[Hit] = []

    @property
    def open_streams(self) -> list[bytes]:
        """Those whose next line may belong to one that is wanted."""
        streams = [tag for tag, levels in self._levels.items() if self._is_bad_enough(levels)]
        return [*streams, STDOUT_JSON] if self._pieces else streams

    @property
    def goes_on(self) -> bool:
        return bool(self.open_streams)

    def skip(self) -> None:
        """Go on behind lines of which none is wanted, and none belongs to one that goes on."""
        for tag, levels in self._levels.items():
            if not self._is_bad_enough(levels):
                self._levels[tag] = Levels()

    def hits(self, page: LogPage) -> list[Hit]:
        """Those of a page."""
        if not self._must_see(page) and any(literal not in page.data for literal in self._literals):
            return []
        hits: list[Hit] = []
        for offset, line in lines_of(page, None if self.wanted.by_record else self.wanted.stream):
            hits += self._take(Hit(offset, line))
        return hits

    def look_back(self, lines: list[Hit]) -> None:
        """See lines that are not asked for, but which those behind them may continue."""
        for line in lines:
            self._record(line)

    def _must_see(self, page: LogPage) -> bool:
        """Whether its lines say something about those behind it."""
        return self.wanted.level is not None or bool(self._pieces) or _CUT_MESSAGE in page.data

    def _take(self, hit: Hit) -> list[Hit]:
        found = self._record(hit) if self.wanted.by_record else [hit]
        return [hit for hit in found if self._wants(hit)]

    def _record(self, hit: Hit) -> list[Hit]:
        """The frames of which it is certain now that their level and fields are those that are wanted."""
        frame = parse_frame(hit.line[:-1])
        if frame is not None and frame.tag == STDOUT_JSON:
            self._pieces.append(hit)
            return [] if frame.partial else self._message()
        self._pieces.clear()
        levels = self._levels.get(frame.tag) if frame is not None else None
        if frame is None or levels is None:
            return []
        levels.of(frame.text, partial=frame.partial)
        return [hit] if not self.wanted.where and self._is_bad_enough(levels) else []

    def _message(self) -> list[Hit]:
        pieces, self._pieces = self._pieces, []
        record = parse_record(b"".join(hit.line.split(b" ", 3)[3][:-1] for hit in pieces))
        if record is None:
            return []
        level = self.wanted.level
        bad_enough = level is None or (record.level is not None and record.level >= level)
        return pieces if bad_enough and all(record.has(*pair) for pair in self.wanted.where) else []

    def _is_bad_enough(self, levels: Levels) -> bool:
        return self.wanted.level is not None and (levels.level or 0) >= self.wanted.level

    def _wants(self, hit: Hit) -> bool:
        stream, since = self.wanted.stream, self.wanted.since
        if stream is not None and not hit.line.startswith(stream, TIME_BYTES + 1):
            return False
        if since is not None and hit.line[:TIME_BYTES] < since:
            return False
        return self._may_match(hit.text)


def is_cut_message(frame: bytes) -> bool:
    """Whether it is a part of a LOG message, but not its last one."""
    return frame.startswith(_CUT_MESSAGE, TIME_BYTES)


def ends_line(frame: bytes) -> bool:
    return frame.split(b" ", 3)[2:3] == [b"F"]
