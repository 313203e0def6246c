"""runner.json: by which an agent that starts anew finds a runner that outlived the one before."""

from __future__ import annotations

import os

from silkmill.protocol.attemptdir import UNFINISHED, encode, overwrite, read_json
from silkmill.runner.processes import start_time
from silkmill.runner.syscalls import exchange_names

PROTOCOL_VERSION = 1


class SlotFile:
    """Written twice a task. Swapping two files that exist costs a tenth of replacing one by a new one."""

    def __init__(self, directory: str, socket_path: str, group: str | None) -> None:
        self._path = os.path.join(directory, "runner.json")
        self._spare = self._path + UNFINISHED
        self._content = {
            "pid": os.getpid(),
            "start_time": start_time(os.getpid()),
            "boot_id": _boot_id(),
            "socket": socket_path,
            "protocol": PROTOCOL_VERSION,
            "cgroup": group,
        }
        self.write(None)
        self.write(None)  # now both files exist, and a full disk cannot refuse a change of their content

    def write(self, attempt: str | None) -> None:
        """Name the attempt this runner owns. Readers see the old or the new file as a whole."""
        data = encode(self._content | {"attempt": attempt})
        descriptor = os.open(self._spare, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            overwrite(descriptor, data)
        finally:
            os.close(descriptor)
        if not exchange_names(self._spare, self._path):
            os.rename(self._spare, self._path)

    def remove(self) -> None:
        """Not what another runner has written: the slot may have been given away meanwhile."""
        for path in (self._path, self._spare):
            if self._is_ours(path):
                os.unlink(path)

    def _is_ours(self, path: str) -> bool:
        try:
            found = read_json(path) or {}
        except (OSError, ValueError):
            return False
        return all(found.get(key) == self._content[key] for key in ("pid", "start_time", "boot_id"))


def _boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
