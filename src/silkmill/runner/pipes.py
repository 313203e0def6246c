"""The three pipes between a runner and its spider."""

from __future__ import annotations

import fcntl
import os

_PIPE_BYTES = 1024 * 1024
READ_BYTES = 256 * 1024  # one read; fits the processor's cache better than the whole pipe


class Pipes:
    """Both ends at first; after `close_child_ends` only ours. An end is -1 while it is not open.

    Making them raises OSError when there are no descriptors left, and leaves none open then."""

    def __init__(self, with_stdin: bool) -> None:
        self.stdin = self.stdout = self.stderr = -1
        self._child_stdin = self._child_stdout = self._child_stderr = -1
        try:
            self._open(with_stdin)
        except OSError:
            self.close()
            self.close_child_ends()
            raise

    def _open(self, with_stdin: bool) -> None:
        self.stdout, self._child_stdout = _output_pipe()
        self.stderr, self._child_stderr = _output_pipe()
        if with_stdin:
            self._child_stdin, self.stdin = os.pipe2(os.O_CLOEXEC)
            os.set_blocking(self.stdin, False)
        else:
            self._child_stdin = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    @property
    def child_ends(self) -> tuple[int, int, int]:
        return self._child_stdin, self._child_stdout, self._child_stderr

    def close_child_ends(self) -> None:
        _close(self.child_ends)

    def tell(self, message: bytes) -> None:
        """Write to the spider's stdin if there is room; who does not read or is gone gets nothing."""
        try:
            os.write(self.stdin, message)
        except (BlockingIOError, BrokenPipeError):
            return

    def end(self, descriptor: int) -> None:
        """One of the output pipes came to its end."""
        if descriptor == self.stdout:
            self.stdout = -1
        else:
            self.stderr = -1
        os.close(descriptor)

    def close(self) -> None:
        _close((self.stdin, self.stdout, self.stderr))
        self.stdin = self.stdout = self.stderr = -1


def read_available(descriptor: int) -> bytes | None:
    """One read that never waits: bytes, b"" at the end of the stream, None when there is nothing now."""
    try:
        return os.read(descriptor, READ_BYTES)
    except BlockingIOError:
        return None


def _output_pipe() -> tuple[int, int]:
    reader, writer = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(reader, False)  # our end only: the spider's end blocks as programs expect
    try:
        fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    except OSError:  # over the user's share of pipe memory: the usual 64 KiB will do
        return reader, writer
    return reader, writer


def _close(descriptors: tuple[int, ...]) -> None:
    for descriptor in descriptors:
        if descriptor >= 0:
            os.close(descriptor)
