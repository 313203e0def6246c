"""The data directory: where everything of one installation lives, and the lock that makes it one engine's."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from silkmill.domain.errors import SilkmillError


class DataDirectoryBusy(SilkmillError):
    """Another engine holds the directory; the message names it and says what to do."""

    def __init__(self, path: Path, holder: dict[str, object]) -> None:
        self.path, self.holder = path, holder
        pid, url = holder.get("pid", "unknown"), holder.get("url")
        where = f" at {url}" if url else ""
        super().__init__(
            f"{path} is in use by the silkmill process {pid}{where}; "
            "use that one, stop it with `silkmill stop`, or choose another --data directory"
        )


class DataDirectory:
    """The names in the data directory (docs/architecture.md), made on demand. Private to its user: 0700."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.database = self.path / "silkmill.db"
        self.bucket = self.path / "bucket"
        self.logs = self.path / "log"
        self.server_file = self.path / "server.json"
        self.token_file = self.path / "token"

    def make(self) -> None:
        """Create the directory, durably, and its parts. Raises OSError when the place does not allow it."""
        missing = [level for level in (self.path, *self.path.parents) if not level.exists()]
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for level in missing:
            _sync_folder(level.parent)
        for part in (self.bucket, self.logs):
            part.mkdir(mode=0o700, exist_ok=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory alone. The kernel drops the lock with the process, however it dies.

        Raises DataDirectoryBusy."""
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DataDirectoryBusy(self.path, self._holder(descriptor)) from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps({"pid": os.getpid()}).encode(), 0)
            yield
        finally:
            os.close(descriptor)

    def token(self) -> tuple[str, bool]:
        """The admin token, and whether this call has made it (the first start)."""
        with contextlib.suppress(FileNotFoundError):
            if token := self.token_file.read_text().strip():  # an empty one would let everybody in
                return token, False
        token = secrets.token_urlsafe(32)
        write_private(self.token_file, token + "\n")
        return token, True

    @contextlib.contextmanager
    def announced(self, url: str) -> Iterator[None]:
        """`server.json` names the running server for clients of this directory."""
        facts = {"url": url, "pid": os.getpid(), "start_time": process_start_time(os.getpid())}
        write_private(self.server_file, json.dumps(facts) + "\n")
        try:
            yield
        finally:
            self.server_file.unlink(missing_ok=True)

    def _holder(self, descriptor: int) -> dict[str, object]:
        """Who holds the lock; its url only if `server.json` is of the same process."""
        holder = _json_object(os.pread(descriptor, 4096, 0))
        with contextlib.suppress(OSError):
            server = _json_object(self.server_file.read_bytes())
            if server.get("pid") == holder.get("pid"):
                return server
        return holder


def _json_object(text: bytes) -> dict[str, object]:
    with contextlib.suppress(ValueError):
        value = json.loads(text)
        if isinstance(value, dict):
            return value
    return {}


def write_private(path: Path, text: str) -> None:
    """Write a 0600 file whole: no reader sees half of it, not even after a power cut, and its name lasts."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    temporary.rename(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def process_start_time(pid: int) -> int:
    """Start of a process in clock ticks since boot (field 22 of /proc/pid/stat); with the pid it names one
    process for good. Raises ProcessLookupError."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except FileNotFoundError:
        raise ProcessLookupError(pid) from None
    return int(stat.rpartition(b")")[2].split()[19])
