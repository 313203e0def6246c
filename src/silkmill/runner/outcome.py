"""How an attempt ended: the facts collected on the way, the closing line of the log, and outcome.json."""

from __future__ import annotations

import os

from silkmill.protocol.attemptdir import OUTCOME_FILE, UNFINISHED, encode, overwrite

TYPE_CHECKING = False  # the typing module would cost every runner half a megabyte
if TYPE_CHECKING:
    from typing import Literal

    from silkmill.protocol.attemptdir import Limits, Outcome

_RESERVED_BYTES = 4096  # all but a long traceback; more would make every small task wait for the file system


class OutcomeFile:
    """Its space is taken when the attempt starts, so that a disk that is full at the end cannot refuse it."""

    def __init__(self, directory: str) -> None:
        self._path = os.path.join(directory, OUTCOME_FILE)
        self._unfinished = self._path + UNFINISHED
        self._descriptor = os.open(self._unfinished, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(self._descriptor, 0, _RESERVED_BYTES)
        except OSError:
            self.discard()
            raise

    def write(self, outcome: Outcome) -> None:
        """Raises OSError; a repeat writes all of it again."""
        overwrite(self._descriptor, encode(outcome))
        os.rename(self._unfinished, self._path)
        self.close()

    def close(self) -> None:
        os.close(self._descriptor)

    def discard(self) -> None:
        self.close()
        os.unlink(self._unfinished)


def blank_outcome() -> Outcome:
    """The facts of an attempt in which nothing has happened yet."""
    return {
        "started": False,
        "pid": None,
        "started_at": None,
        "ended_at": "",
        "exit_code": None,
        "signal": None,
        "signal_sender": None,
        "spawn_error": None,
        "limit": None,
        "cancelled": False,
        "lost": False,
        "verified": True,
        "survivors": [],
        "leftovers": 0,
        "traceback": None,
        "traceback_ends_stderr": False,
        "fatal": None,
        "errors": 0,
        "bad_frames": 0,
        "progress": None,
        "log_size": 0,
        "log_lines": 0,
        "items_size": 0,
        "items_count": 0,
        "max_rss_bytes": None,
        "max_processes": None,
        "cpu_seconds": None,
        "read_bytes": None,
        "written_bytes": None,
    }


def closing_line(outcome: Outcome, limits: Limits) -> str:
    """The last line of the log: how it ended, in the order of what the reader wants to know first."""
    parts = [_cause(outcome, limits), _end(outcome), *_remains(outcome)]
    return ", ".join(part for part in parts if part)


def limit_text(limit: Literal["runtime", "stall", "items"], limits: Limits) -> str:
    unit = "" if limit == "items" else "s"
    return f"{limit} limit of {limits[limit]:g}{unit}"


def _cause(outcome: Outcome, limits: Limits) -> str:
    if outcome["limit"]:
        return limit_text(outcome["limit"], limits)
    return "stopped by cancel" if outcome["cancelled"] else ""


def _end(outcome: Outcome) -> str:
    if outcome["spawn_error"]:
        return f"not started: {outcome['spawn_error']['message']}"
    if outcome["signal"] is not None:
        sender = "sent by us" if outcome["signal_sender"] == "us" else "sender unknown"
        return f"killed by signal {outcome['signal']}, {sender}"
    if outcome["exit_code"] is not None:
        return f"exit code {outcome['exit_code']}"
    return "the main process could not be killed"


def _remains(outcome: Outcome) -> list[str]:
    remains = []
    if outcome["leftovers"]:
        remains.append(f"{outcome['leftovers']} processes left behind were killed")
    if outcome["survivors"]:
        remains.append(f"still alive: {' '.join(map(str, outcome['survivors']))}")
    return remains
