"""What this machine has of what some rows need."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path


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


def _can_group() -> bool:
    """Whether a group can be made beside our own, in the v2 tree or in the v1 freezer."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        mounts = {"": ("", "/unified"), "freezer": ("/freezer",)}.get(controllers, ())
        if any(_takes_groups(Path(f"/sys/fs/cgroup{mount}{path}")) for mount in mounts):
            return True
    return False


def _takes_groups(home: Path) -> bool:
    if not (home / "cgroup.procs").exists():
        return False
    probe = home / f"silkmill-probe-{os.getpid()}"
    try:
        probe.mkdir()
        probe.rmdir()
    except OSError:
        return False
    return True


_CHECKS: dict[str, Callable[[], bool]] = {
    "cgroup": _can_group,
    "tmpfs": _can_mount,
    "npm": lambda: shutil.which("npm") is not None,
    "strace": lambda: shutil.which("strace") is not None,
}
