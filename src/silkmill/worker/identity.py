"""Who this worker is: the node id its data directory carries, and the boot it lives in."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from silkmill.runtime.datadir import write_private

_ID = re.compile(rb"[0-9a-f]{16}")


def node_id(data: Path) -> str:
    """The id in `<data>/node`; the first start makes it, and one that finds none there. Raises OSError."""
    path = data / "node"
    found = path.read_bytes().strip() if path.exists() else b""
    if not _ID.fullmatch(found):
        found = secrets.token_hex(8).encode()
        write_private(path, f"{found.decode()}\n")
    return found.decode()


def boot_id() -> str:
    """Changes with every start of the machine: a process of another boot is gone for certain."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
