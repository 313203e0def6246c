r"""Takes the messages out of what a spider writes to stdout, and gives everything else back byte for byte.

Two forms of a frame:
- plain: `{"type": T, "payload": P}` alone on a line (blanks around it are tolerated);
- with the nonce of the attempt: `\x1e<nonce> {"type": …}\n`, anywhere in a line. The bytes before it and
  those after its newline are one line of text again. A large one may come in pieces, with other output
  between them:
  `\x1e<nonce> +<id> <beginning>\n`, more of these, `\x1e<nonce> -<id> <rest>\n`.
After a HELLO (always with the nonce), or in strict mode, frames without the nonce are text and counted as
forged; frames with another nonce always are.
"""

from __future__ import annotations

import re

from silkmill.protocol.ipcbuffer import OPENS_LIKE_A_FRAME, Buffer
from silkmill.protocol.ipcframe import LOOKS_LIKE_A_FRAME, BadFrame, read_frame
from silkmill.protocol.ipcparts import Bad, Error, Forged, Hello, Items, Log, Part, Status, Text
from silkmill.protocol.ipcpieces import Pieces
from silkmill.protocol.ipcruns import ItemRuns

__all__ = ["Bad", "Decoder", "Error", "Forged", "Hello", "Items", "Log", "Part", "Status", "Text"]

MAX_FRAME = 8 * 1024 * 1024
_TOO_LARGE = "larger than 8 MiB"
_MARK_WINDOW = 256  # bytes behind a \x1e that suffice to tell what it begins
_NEVER_ENDED = "its pieces never came to an end"

_LONGEST_EXCERPT = 200
_NONCE = re.compile(r"[!-z|}~]{1,128}")
_FOREIGN_FRAME = re.compile(
    rb"\x1e(?:[!-z|}~]{1,128} \{|[!-z|}~]{0,64}[ \t]{0,8}\{[ \t]{0,8}"
    rb'(?:"type"[ \t]{0,8}:[ \t]{0,8}"(?:INSERT_DATA|STATUS|ERROR|LOG|HELLO)"'
    rb'|"ipc"[ \t]{0,8}:[ \t]{0,8}true))'
).match


class Decoder:
    """One attempt's stdout. `feed` takes it in any portions, `finish` comes last; both return parts in order.

    `mode` is "open" or "strict". `bad` and `forged` count the frames that were left in the text. Raises
    `ValueError` for a nonce that is empty, longer than 128 characters or holds more than printable ASCII.
    """

    def __init__(self, nonce: str, mode: str) -> None:
        if not _NONCE.fullmatch(nonce):
            raise ValueError("a nonce is 1 to 128 printable ASCII characters without blanks and {")
        if mode not in ("open", "strict"):
            raise ValueError(f"the IPC mode is open or strict, not {mode!r}")
        self.bad = self.forged = 0
        self._locked = mode == "strict"
        self._mark = b"\x1e" + nonce.encode() + b" "
        self._marked_runs, self._plain_runs = ItemRuns(self._mark), ItemRuns(b"")
        self._pieces = Pieces(self._mark)
        self._held = bytearray()  # the beginning of what may be a frame
        self._waits_for_newline = False
        self._mid_line = False
        self._last = False

    def feed(self, data: bytes) -> list[Part]:
        if self._waits_for_newline and self._is_middle(data):
            self._held += data
            return []
        return self._read(data)

    def finish(self) -> list[Part]:
        self._last = True
        parts = self._read(b"")
        if self._pieces:
            parts += self._refuse_pieces(_NEVER_ENDED)
        return parts

    def _is_middle(self, data: bytes) -> bool:
        """Whether a held frame neither ends nor grows too large with this."""
        return len(self._held) + len(data) <= MAX_FRAME and b"\n" not in data and b"\x1e" not in data

    def _read(self, data: bytes) -> list[Part]:
        if self._held:
            self._held += data
            data = bytes(self._held)
            self._held = bytearray()
        self._waits_for_newline = False
        buffer = Buffer(data, self._mark, self._mid_line, MAX_FRAME)
        while self._read_next(buffer):
            pass
        buffer.give_text(buffer.length - len(self._held))
        self._mid_line = buffer.mid_line
        return buffer.parts

    def _read_next(self, buffer: Buffer) -> bool:
        """Deals with the next frame, real or seeming; False when nothing is left, or the rest is held."""
        mark = buffer.next_mark()
        line = buffer.next_line(mark)
        if line is not None:
            return self._take_run(buffer, line[0]) or self._read_line(buffer, *line)
        if mark < buffer.length:
            return self._take_run(buffer, mark) or self._read_mark(buffer, mark)
        return False

    def _take_run(self, buffer: Buffer, start: int) -> bool:
        """Takes the small items that begin at `start`, if any do."""
        runs = self._marked_runs if buffer.data[start] == 0x1E else self._plain_runs
        if self._pieces if runs is self._marked_runs else self._locked:
            return False
        items: list[bytes] = []
        end = runs.take(buffer.data, start, items)
        if items:
            items.append(b"")
            self._give(buffer, [Items(b"\n".join(items), len(items) - 1)], start, end)
        return bool(items)

    def _read_line(self, buffer: Buffer, start: int, end: int) -> bool:
        """Examines a line that may be a plain frame."""
        if end - start > MAX_FRAME:
            seen = min(start + MAX_FRAME, buffer.next_mark())
            looks_like_a_frame = LOOKS_LIKE_A_FRAME.search(buffer.data, start, seen)
            self._leave_large(buffer, start, counts=looks_like_a_frame is not None)
            return True
        if end == buffer.length and not self._last:
            self._hold(buffer, start, waits_for_newline=OPENS_LIKE_A_FRAME(buffer.data, start) is not None)
            return False
        after = min(end + 1, buffer.length)
        if not LOOKS_LIKE_A_FRAME.search(buffer.data, start, end):
            buffer.position = after
            return True
        self._read_plain(buffer, start, end, after)
        return True

    def _read_plain(self, buffer: Buffer, start: int, end: int, after: int) -> None:
        reason = ""
        part: Part | None = None
        try:
            part = read_frame(buffer.data, start, end, with_nonce=False)
        except BadFrame as error:
            reason = str(error)
        if part is not None and not self._locked and not isinstance(part, Hello):
            self._give(buffer, [part], start, after)
            return
        if self._locked and (part is not None or reason):
            self._count_forged(buffer, start)
        elif reason:
            self._refuse(buffer, start, reason)
        buffer.position = after

    def _read_mark(self, buffer: Buffer, start: int) -> bool:
        r"""Examines what begins with a \x1e."""
        if buffer.data.startswith(self._mark, start):
            return self._read_marked(buffer, start)
        end = start + _MARK_WINDOW
        if end > buffer.length and not self._last and buffer.data.find(b"\n", start) < 0:
            self._hold(buffer, start, waits_for_newline=False)
            return False
        if _FOREIGN_FRAME(buffer.data, start, end):
            self._count_forged(buffer, start)
        buffer.position = start + 1
        return True

    def _read_marked(self, buffer: Buffer, start: int) -> bool:
        body = start + len(self._mark)
        other = buffer.data.find(self._mark, body, body + MAX_FRAME + 1)
        stop = buffer.length if other < 0 else other
        newline = buffer.data.find(b"\n", body, stop)
        end = stop if newline < 0 else newline
        if end - body > MAX_FRAME:
            self._leave_large(buffer, start, counts=True)
            buffer.position = body
        elif newline < 0 and other >= 0:
            self._refuse(buffer, start, "cut short by another frame")
            buffer.position = other
        elif newline < 0 and not self._last:
            self._hold(buffer, start, waits_for_newline=True)
            return False
        else:
            self._take_marked(buffer, start, body, end)
        return True

    def _take_marked(self, buffer: Buffer, start: int, body: int, end: int) -> None:
        after = min(end + 1, buffer.length)
        if buffer.data[body : body + 1] in (b"+", b"-"):
            self._take_piece(buffer, start, after)
            return
        if self._pieces:
            self._give(buffer, self._refuse_pieces(_NEVER_ENDED), start, start)
        try:
            part = read_frame(buffer.data, body, end, with_nonce=True)
        except BadFrame as error:
            self._refuse(buffer, start, str(error))
            part = None
        buffer.position = after
        if part is not None:
            self._give(buffer, [part], start, after)

    def _take_piece(self, buffer: Buffer, start: int, after: int) -> None:
        raw = buffer.data[start:after]
        if self._pieces and not self._pieces.fits(raw):
            self._give(buffer, self._refuse_pieces(_NEVER_ENDED), start, start)
        if not self._pieces.fits(raw):
            self._refuse(buffer, start, "a piece of no frame")
            buffer.position = after
            return
        complete = self._pieces.add(raw)
        self._give(buffer, self._read_pieces() if complete else [], start, after)

    def _read_pieces(self) -> list[Part]:
        frame = self._pieces.frame()
        try:
            if len(frame) > MAX_FRAME:
                raise BadFrame(_TOO_LARGE)
            part = read_frame(frame, 0, len(frame), with_nonce=True)
        except BadFrame as error:
            return self._refuse_pieces(str(error))
        raw = self._pieces.give_back()
        return [Text(raw)] if part is None else [part]

    def _give(self, buffer: Buffer, parts: list[Part], start: int, after: int) -> None:
        """Gives what `data[start:after]` led to."""
        buffer.give_text(start)
        buffer.drop(after)
        for part in parts:
            self._locked = self._locked or isinstance(part, Hello)
            if not (isinstance(part, Items) and part.count == 0):
                buffer.parts.append(part)

    def _refuse(self, buffer: Buffer, start: int, reason: str) -> None:
        self.bad += 1
        buffer.give_text(start)
        buffer.parts.append(Bad(reason))

    def _refuse_pieces(self, reason: str) -> list[Part]:
        self.bad += 1
        return [Bad(reason), Text(self._pieces.give_back())]

    def _leave_large(self, buffer: Buffer, start: int, counts: bool) -> None:
        """Makes text of a line, or of what is left of it, that is too long for a frame."""
        buffer.give_text(start)
        if counts:
            self._refuse(buffer, start, _TOO_LARGE)
        buffer.mid_line = True

    def _count_forged(self, buffer: Buffer, start: int) -> None:
        self.forged += 1
        if self.forged == 1:
            buffer.give_text(start)
            excerpt = buffer.data[start : start + _LONGEST_EXCERPT].split(b"\n", 1)[0]
            buffer.parts.append(Forged(excerpt))

    def _hold(self, buffer: Buffer, start: int, waits_for_newline: bool) -> None:
        self._held += buffer.data[start:]
        self._waits_for_newline = waits_for_newline
