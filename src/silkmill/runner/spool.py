"""The spool: what was read waits here until it is in its segment file. A full disk delays, never drops."""

from __future__ import annotations

import os
from collections import deque

from silkmill.protocol.attemptdir import SEGMENT_BYTES, segment_path
from silkmill.runner.clock import NEVER

TYPE_CHECKING = False  # the typing module would cost every runner half a megabyte
if TYPE_CHECKING:
    from collections.abc import Iterator

    from silkmill.protocol.attemptdir import Stream

    # The stream, whole frames or item lines, and how many items they are.
    Piece = tuple[Stream, bytes, int]

RETRY_SECONDS = 0.1
MEDDLED = (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError, PermissionError)
"""No disk recovers from these: the spider, or somebody else, has changed the attempt's directory."""
RESERVE_BYTES = 8 * 1024 * 1024  # beyond the limit, for the rest of a spider that is being stopped


class SegmentWriter:
    """Appends one stream to its segment files. One is closed, and the next made, where a piece ends."""

    def __init__(self, directory: str, stream: Stream, segment_bytes: int, size: int = 0) -> None:
        self._directory = directory
        self._stream = stream
        self._segment_bytes = segment_bytes
        self._descriptor = -1
        self._first = 0
        self.paths: list[str] = []
        self.size = size  # of the whole stream

    def begin_piece(self) -> None:
        if self._descriptor < 0:
            self._open_segment()

    def write(self, data: memoryview) -> int:
        written = os.write(self._descriptor, data)
        self.size += written
        return written

    def end_piece(self) -> None:
        if self.size - self._first >= self._segment_bytes:
            self.close()
            self._open_segment()

    def bytes_on_disk(self) -> int:
        """The agent unlinks what is acknowledged."""
        sizes = {path: _size_of(path) for path in self.paths}
        self.paths = [path for path, size in sizes.items() if size is not None]
        return sum(size or 0 for size in sizes.values())

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open_segment(self) -> None:
        path = segment_path(self._directory, self._stream, self.size)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor, self._first = os.open(path, flags, 0o600), self.size
        self.paths.append(path)


class Spool:
    """Two streams and the pieces that wait for them. `limit` is in bytes on disk, 0 for none; so much of the
    log is there already as `log_size` says.

    `lost`: the directory cannot take them any more, and nobody will read what is said from then on."""

    def __init__(self, directory: str, limit: int, log_size: int = 0) -> None:
        # Only closed segments can be unlinked, so those of a small spool are smaller than the spool.
        segment_bytes = min(SEGMENT_BYTES, limit // 4) if limit else SEGMENT_BYTES
        self.log = SegmentWriter(directory, "log", segment_bytes, log_size)
        self.items = SegmentWriter(directory, "items", segment_bytes)
        self.items_count = 0
        self.lost = False
        self._limit = limit
        self._waiting: deque[Iterator[Piece]] = deque()
        self._piece: Piece | None = None
        self._rest = memoryview(b"")
        self._retry_at = 0.0

    def add(self, pieces: Iterator[Piece]) -> None:
        """Queue pieces; they are made only when they can be written, so that little is held in memory."""
        if not self.lost:
            self._waiting.append(pieces)

    def pump(self, now: float) -> None:
        """Write what waits, until it is done or the disk refuses; then again after a tenth of a second."""
        if now < self._retry_at:
            return
        self._retry_at = 0.0
        try:
            while self._next_piece():
                self._write_piece()
        except MEDDLED:
            self.lost = True
            self._waiting.clear()
            self._piece = None
        except OSError:  # ENOSPC, EDQUOT, EIO: the disk may recover, and the spider's words exist only here
            self._retry_at = now + RETRY_SECONDS

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Bytes of the log, bytes of the items, number of items."""
        return self.log.size, self.items.size, self.items_count

    @property
    def stuck(self) -> bool:
        """The disk refused; no more may be read."""
        return self._retry_at > 0.0

    @property
    def retry_at(self) -> float:
        return self._retry_at or NEVER

    def is_full(self, reserve: int) -> bool:
        """Whether the segments on disk reach the limit (and `reserve` beyond it)."""
        if not self._limit or self.log.size + self.items.size < self._limit + reserve:
            return False
        return self.log.bytes_on_disk() + self.items.bytes_on_disk() >= self._limit + reserve

    def close(self) -> None:
        self.log.close()
        self.items.close()

    def _next_piece(self) -> bool:
        while self._piece is None:
            if not self._waiting:
                return False
            self._piece = next(self._waiting[0], None)
            if self._piece is None:
                self._waiting.popleft()
            else:
                self._rest = memoryview(self._piece[1])
        return True

    def _write_piece(self) -> None:
        assert self._piece is not None
        stream, _, count = self._piece
        writer = self.log if stream == "log" else self.items
        writer.begin_piece()
        while self._rest:
            self._rest = self._rest[writer.write(self._rest) :]
        self.items_count += count
        self._piece = None
        writer.end_piece()


def _size_of(path: str) -> int | None:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return None
