"""Exit codes, and how the end of a task becomes one."""

from __future__ import annotations

from enum import IntEnum
from typing import Any


class Exit(IntEnum):
    DONE = 0
    TASK_FAILED = 1
    BAD_INPUT = 2
    CANCELLED = 3
    NOT_FOUND = 4
    REFUSED = 5
    INTERRUPTED = 130


FINAL = {"finished": Exit.DONE, "error": Exit.TASK_FAILED, "cancelled": Exit.CANCELLED}
NOT_VERIFIED = "cancel not verified"


def exit_of(task: dict[str, Any]) -> Exit | None:
    """None while the end is open. Any abnormal task but an unverified cancel is waited through."""
    if task["state"] == "abnormal" and NOT_VERIFIED in (task["reason"] or ""):
        return Exit.TASK_FAILED
    return FINAL.get(task["state"])
