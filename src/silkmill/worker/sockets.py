"""Where the sockets of the runners are: a short private folder, for a unix path ends at 107 bytes."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path

UNIX_PATH_BYTES = 107


class UnsafeFolder(OSError):
    """The folder exists and somebody else could put a socket of his own into it."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} must be a directory of mode 0700 that belongs to this user; remove it, or set "
            "XDG_RUNTIME_DIR to a folder of your own"
        )


def socket_folder(data: Path) -> Path:
    """Make the folder for the runners of this data directory. Raises UnsafeFolder, OSError."""
    digest = digest_of(data)
    for folder in _candidates(digest):
        if len(os.fsencode(folder / "9999.sock")) <= UNIX_PATH_BYTES:
            _make_private(folder)
            return folder
    raise OSError(f"no folder is short enough for a unix socket: {', '.join(map(str, _candidates(digest)))}")


def digest_of(data: Path) -> str:
    """A short name for a data directory."""
    return hashlib.sha256(os.fsencode(data.resolve())).hexdigest()[:12]


def _candidates(digest: str) -> list[Path]:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    private = [Path(runtime) / f"silkmill-{digest}"] if os.path.isdir(runtime) else []  # noqa: PTH112
    shared = [Path(folder) / f"silkmill-{os.getuid()}-{digest}" for folder in (tempfile.gettempdir(), "/tmp")]
    return private + shared


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    private = stat.S_ISDIR(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o700
    if not private or status.st_uid != os.getuid():
        raise UnsafeFolder(folder)
