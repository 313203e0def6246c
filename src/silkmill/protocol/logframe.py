"""The log as bytes: one frame a line in the shape of the Kubernetes CRI log format, written and read back.

A frame is `<RFC 3339 time, 9 digits, Z> <tag> <F|P> <text>\\n`. F: the text was followed by a newline.
P: it was not, because the line was cut at 64 KiB or the stream ended there.
"""

from __future__ import annotations

from time import gmtime, strftime

TYPE_CHECKING = False  # the typing module would cost every runner half a megabyte
if TYPE_CHECKING:
    from collections.abc import Iterator

STDOUT = b"stdout"
STDOUT_JSON = b"stdout/json"
STDERR = b"stderr"
SYSTEM = b"system"
TAGS = (STDOUT, STDOUT_JSON, STDERR, SYSTEM)
TEXT_LIMIT = 64 * 1024

_TIME_LENGTH = len("2006-01-02T15:04:05.000000000Z")
_second = -1
_second_text = ""


def rfc3339(time_ns: int) -> str:
    """Write nanoseconds since 1970 as RFC 3339 in UTC with nine digits."""
    global _second, _second_text
    second, fraction = divmod(time_ns, 1_000_000_000)
    if second != _second:  # formatting a date costs more than a frame; a second has many frames
        _second, _second_text = second, strftime("%Y-%m-%dT%H:%M:%S.", gmtime(second))
    return f"{_second_text}{fraction:09d}Z"


class LogFramer:
    """Turns one byte stream into frames, in bulk: one time stamp for all lines of a read.

    The frames do not depend on how the stream was split into reads. At most 64 KiB are held back: a line
    that has not ended yet.
    """

    def __init__(self, tag: bytes) -> None:
        self.lines = 0  # frames given out so far
        self._tag = tag
        self._held = bytearray()  # grows in place: a spider may write a line byte by byte

    def feed(self, data: bytes, time_ns: int) -> Iterator[bytes]:
        """Frame `data`; every piece ends at a frame end and stands for at most 64 KiB of the stream."""
        head = b"%b %b " % (rfc3339(time_ns).encode(), self._tag)
        full, partial = head + b"F ", head + b"P "
        between = b"\n" + full
        start = 0
        if self._held:
            start, piece = self._end_held(data, full, partial)
            if piece:
                self.lines += 1
                yield piece
        while start < len(data):
            newline = data.rfind(b"\n", start, start + TEXT_LIMIT + 1)
            if newline >= 0:
                frames = data[start:newline].replace(b"\n", between)
                # How much longer it got tells how many they are, for nothing.
                self.lines += 1 + (len(frames) - (newline - start)) // len(full)
                yield b"%b%b\n" % (full, frames)
                start = newline + 1
            elif len(data) - start > TEXT_LIMIT:
                self.lines += 1
                yield b"%b%b\n" % (partial, data[start : start + TEXT_LIMIT])
                start += TEXT_LIMIT
            else:
                self._held += data[start:]
                return

    def _end_held(self, data: bytes, full: bytes, partial: bytes) -> tuple[int, bytes]:
        """Go on with the line held back; returns how much of `data` it took, and its frame once it ended."""
        room = TEXT_LIMIT - len(self._held)
        newline = data.find(b"\n", 0, room + 1)
        if newline < 0 and len(data) <= room:
            self._held += data
            return len(data), b""
        end = newline if newline >= 0 else room
        self._held += data[:end]
        frame = (full if newline >= 0 else partial) + self._held + b"\n"
        self._held.clear()
        return (end + 1 if newline >= 0 else end), frame

    def finish(self, time_ns: int) -> bytes:
        """The stream has ended: the held rest as a P frame, or nothing."""
        if not self._held:
            return b""
        frame = b"%b %b P %b\n" % (rfc3339(time_ns).encode(), self._tag, bytes(self._held))
        self._held.clear()
        self.lines += 1
        return frame


def frame_line(tag: bytes, text: bytes, time_ns: int) -> bytes:
    """Frame one whole line that belongs to no byte stream (a LOG message, a line of the engine)."""
    framer = LogFramer(tag)
    return b"".join(framer.feed(text.replace(b"\n", b" ") + b"\n", time_ns))


def system_line(text: str, time_ns: int) -> bytes:
    return frame_line(SYSTEM, text.encode("utf-8", "replace"), time_ns)


class Frame:
    """One frame read back. `text` has no newline; `partial` says that none followed it."""

    __slots__ = ("partial", "tag", "text", "time")

    def __init__(self, time: bytes, tag: bytes, partial: bool, text: bytes) -> None:
        self.time = time
        self.tag = tag
        self.partial = partial
        self.text = text

    def original(self) -> bytes:
        """The bytes of the stream this frame stands for."""
        return self.text if self.partial else self.text + b"\n"


def parse_frame(line: bytes) -> Frame | None:
    """Read one line (without its newline); None when it is no frame."""
    parts = line.split(b" ", 3)
    if (
        len(parts) != 4
        or len(parts[0]) != _TIME_LENGTH
        or parts[1] not in TAGS
        or parts[2] not in (b"F", b"P")
    ):
        return None
    return Frame(parts[0], parts[1], parts[2] == b"P", parts[3])


def parse_frames(log: bytes) -> Iterator[Frame]:
    """Read the frames of a piece of log that begins at a frame; a torn last frame is left out."""
    start = 0
    while (newline := log.find(b"\n", start)) >= 0:
        frame = parse_frame(log[start:newline])
        if frame is not None:
            yield frame
        start = newline + 1


def stream_bytes(log: bytes, tag: bytes) -> bytes:
    """What the spider wrote to `tag` (stdout or stderr), byte for byte, frames taken as messages apart."""
    return b"".join(frame.original() for frame in parse_frames(log) if frame.tag == tag)


def missing_end(torn: bytes) -> bytes:
    """What completes a frame of which only `torn` was written (its writer was killed), so that the log stays
    parseable. A log is completed and never cut, because its bytes may have been shipped already."""
    if not torn:
        return b""
    fields = torn.split(b" ", 3)
    if len(fields) == 4:
        return b"\n"
    if len(fields) == 3:
        return b" \n" if fields[2] else b"P \n"
    if len(fields) == 2:
        tag = next((tag for tag in TAGS if tag.startswith(fields[1])), SYSTEM)
        return tag[len(fields[1]) :] + b" P \n"
    return rfc3339(0).encode()[len(torn) :] + b" system P \n"
