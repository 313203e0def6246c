"""Who this worker is: the node id its data directory carries, and the boot it lives in."""

from __future__ import annotations

import secrets
from pathlib import Path

from silkmill.runtime.datadir import write_private


def node_id(data: Path) -> str:
    """The id in `<data>/node`; the first start makes it. Raises OSError."""
    path = data / "node"
    if not path.exists():
        write_private(path, f"{secrets.token_hex(8)}\n")
    return path.read_text(encoding="ascii").strip()


def boot_id() -> str:
    """Changes with every start of the machine: a process of another boot is gone for certain."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
