"""Control groups as a fence around one attempt: find a writable base, make a group, kill it, see it empty.

Three hosts are known: cgroup v2 (also the v2 tree without controllers of a hybrid host), which can kill a
group in one write; the v1 freezer, which can hold a group still while it is killed; and none.
"""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False  # the typing module would cost every runner half a megabyte
if TYPE_CHECKING:
    from collections.abc import Iterator

_V2 = "cgroup2"
_V1 = "cgroup"
_READ_BYTES = 8192


def find_cgroup_base(name: str) -> str | None:
    """Make `<own cgroup>/silkmill-<name>` where this process may move processes; None where it may not.

    cgroup v2 first, then the v1 freezer. Attempts get their groups below it.
    """
    for home in own_groups():
        base = os.path.join(home, f"silkmill-{name}")
        if _usable(home, base):
            return base
    return None


def home_of(base: str) -> str:
    """The group this process is in, in the hierarchy `base` belongs to: where it returns to after a spawn."""
    for home in own_groups():
        mount = _mount_of(home)
        if base.startswith(f"{mount}/"):
            return home
    raise FileNotFoundError(base)


def move_self(group: str) -> None:
    """Move this process, with all its threads, into a group."""
    _write(f"{group}/cgroup.procs", "0")


def pids_in(group: str) -> set[int]:
    """The processes in a group and in groups below it; empty when the group is gone."""
    found: set[int] = set()
    for directory in _group_and_below(group):
        found.update(int(pid) for pid in _read(f"{directory}/cgroup.procs").split())
    return found


def kill_group(group: str) -> set[int]:
    """Send SIGKILL to everything in the group; returns the processes that were in it. Repeat until empty."""
    found = pids_in(group)
    if os.path.exists(f"{group}/cgroup.kill"):
        _write(f"{group}/cgroup.kill", "1")
    elif found:
        _kill_held_still(group, found)
    return found


def remove_group(group: str) -> bool:
    """Remove the group and those below it. True proves that no process is left in it."""
    try:
        os.rmdir(group)  # the usual case: nothing below it
    except FileNotFoundError:
        return True
    except OSError:
        return _remove_below(group)
    return True


def _remove_below(group: str) -> bool:
    try:
        for directory in reversed(list(_group_and_below(group))):
            os.rmdir(directory)
    except FileNotFoundError:
        return not os.path.exists(group)
    except OSError:
        return False
    return True


def _kill_held_still(group: str, found: set[int]) -> None:
    """Freeze, kill, thaw: what is frozen cannot fork away from its kill."""
    freezer, frozen, thawed = f"{group}/freezer.state", "FROZEN", "THAWED"
    if not os.path.exists(freezer):
        freezer, frozen, thawed = f"{group}/cgroup.freeze", "1", "0"
    _write(freezer, frozen)
    for pid in found | pids_in(group):
        try:
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue
    _write(freezer, thawed)


def _group_and_below(group: str) -> Iterator[str]:
    yield group
    for entry in _subdirectories(group):
        yield from _group_and_below(entry)


def _subdirectories(group: str) -> list[str]:
    try:
        if os.stat(group).st_nlink == 2:  # the usual case, told without reading the directory
            return []
        return [os.path.join(group, name) for name in os.listdir(group) if os.path.isdir(f"{group}/{name}")]
    except FileNotFoundError:
        return []


def own_groups() -> Iterator[str]:
    """The directories of the groups this process is in, v2 first, the v1 freezer second."""
    paths = dict(line.split(":", 2)[1:] for line in _read("/proc/self/cgroup").splitlines())
    mounts = list(_mounts())
    for kind, controller in ((_V2, ""), (_V1, "freezer")):
        own = next((path for names, path in paths.items() if controller in names.split(",")), None)
        for mount_root, mount, fstype, options in mounts:
            if own is None or fstype != kind or (controller and controller not in options):
                continue
            if own == mount_root or own.startswith(mount_root.rstrip("/") + "/"):
                yield os.path.normpath(f"{mount}/{own[len(mount_root) :]}")


def _mounts() -> Iterator[tuple[str, str, str, list[str]]]:
    """Root within the hierarchy, mount point, type and super options of every mount (proc(5), mountinfo)."""
    for line in _read("/proc/self/mountinfo").splitlines():
        left, _, right = line.partition(" - ")
        _, _, _, root, mount = left.split(" ")[:5]
        fstype, _, options = right.split(" ", 2)
        yield root, mount, fstype, options.split(",")


def _mount_of(home: str) -> str:
    return max(
        (mount for _, mount, kind, _ in _mounts() if kind in (_V1, _V2) and home.startswith(mount)), key=len
    )


def _usable(home: str, base: str) -> bool:
    """Make the base. Only moving there and back proves that moving is allowed."""
    probe = os.path.join(base, f"probe-{os.getpid()}")
    try:
        _make(base)
        _make(probe)
        try:
            move_self(probe)
            move_self(home)
        finally:
            os.rmdir(probe)
    except OSError:
        remove_group(base)  # not if another process uses it already
        return False
    return True


def _make(group: str) -> None:
    try:
        os.mkdir(group)
    except FileExistsError:
        return


def _read(path: str) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.fsdecode(b"".join(iter(lambda: os.read(descriptor, _READ_BYTES), b"")))
        finally:
            os.close(descriptor)
    except OSError:  # ENODEV too: the group was removed while it was read
        return ""


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
