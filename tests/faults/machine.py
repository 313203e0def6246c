"""What this machine has of what some rows need."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable


def missing_for(needs: tuple[str, ...]) -> str | None:
    """The first need that is not met, or None."""
    return next((need for need in needs if not _CHECKS[need]()), None)


def _can_mount() -> bool:
    if os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory() as folder:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "none", folder], capture_output=True, check=False)
        if mounted.returncode == 0:
            subprocess.run(["umount", folder], check=True)
        return mounted.returncode == 0


_CHECKS: dict[str, Callable[[], bool]] = {
    "tmpfs": _can_mount,
    "strace": lambda: shutil.which("strace") is not None,
}
