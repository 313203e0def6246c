"""runner.json: by which an agent that starts anew finds a runner that outlived the one before."""

from __future__ import annotations

import os

from silkmill.protocol.attemptdir import write_json
from silkmill.runner.processes import start_time

PROTOCOL_VERSION = 1


class SlotFile:
    def __init__(self, directory: str, socket_path: str) -> None:
        self._path = os.path.join(directory, "runner.json")
        self._content = {
            "pid": os.getpid(),
            "start_time": start_time(os.getpid()),
            "boot_id": _boot_id(),
            "socket": socket_path,
            "protocol": PROTOCOL_VERSION,
        }

    def write(self, attempt: str | None) -> None:
        write_json(self._path, self._content | {"attempt": attempt})

    def remove(self) -> None:
        os.unlink(self._path)


def _boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
