"""How an attempt ended: the facts a runner recorded, and the verdict drawn from them."""

from __future__ import annotations

import re
import signal as signals
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from silkmill.domain.statistics import Statistics
from silkmill.domain.uncaught import Uncaught, uncaught_in

CANCEL_NOT_VERIFIED = "cancel not verified"
"""The reason of a task whose processes could not be proven dead after a cancel."""


class ErrorClass(StrEnum):
    SPIDER = "spider"
    NETWORK = "network"
    SYSTEM = "system"
    LIMIT = "limit"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class SpawnError:
    """Why the command could not be started. `kind`: missing | not_executable | bad_interpreter |
    bad_directory | arguments_too_long | other."""

    errno: int
    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class Fatal:
    """An ERROR frame with `fatal`: the spider itself says that it failed."""

    error_class: str
    message: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What the runner (or the agent, for a dead runner) saw of an attempt. No judgement.

    Times are aware UTC; sizes are bytes of the stored streams. What nobody counted is None."""

    ended_at: datetime
    started_at: datetime | None = None
    started: bool = False
    pid: int | None = None
    exit_code: int | None = None
    signal: int | None = None
    signal_sender: str | None = None
    spawn_error: SpawnError | None = None
    preparation_error: str | None = None
    preparation_permanent: bool = False
    limit: str | None = None
    cancelled: bool = False
    """A cancel step was taken before the main process ended."""
    lost: bool = False
    """The runner died with its spider while its agent lived."""
    lost_with_worker: bool = False
    """The runner died together with its agent; counts as a lost worker."""
    verified: bool = True
    survivors: tuple[int, ...] = ()
    leftovers: int = 0
    traceback: str | None = None
    traceback_ends_stderr: bool = False
    fatal: Fatal | None = None
    errors: int | None = None
    bad_frames: int = 0
    progress: float | None = None
    log_closed: bool = True
    """The log ends with the line that says how the attempt ended."""
    log_size: int = 0
    items_size: int = 0
    items_count: int = 0
    log_lines: int | None = None
    max_rss_bytes: int | None = None
    """The most that the process tree was seen to have, or its largest process."""
    max_processes: int | None = None
    cpu_seconds: float | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None
    status: str | None = None
    """The latest STATUS message, as JSON."""

    @property
    def statistics(self) -> Statistics:
        return Statistics(
            progress=self.progress,
            errors=self.errors,
            log_lines=self.log_lines,
            rss_bytes=self.max_rss_bytes,
            cpu_seconds=self.cpu_seconds,
            processes=self.max_processes,
            read_bytes=self.read_bytes,
            written_bytes=self.written_bytes,
        )


@dataclass(frozen=True, slots=True)
class Rules:
    """The `[outcome]` part of spider.toml."""

    min_items: int = 0
    max_error_ratio: float = 1.0
    ok_exit_codes: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome, classified. `error_class` None: it ended well."""

    outcome: str
    reason: str | None = None
    error_class: ErrorClass | None = None
    permanent: bool = False
    exit_code: int | None = None
    signal: int | None = None
    traceback: str | None = None
    lost_with_worker: bool = False
    """It counts as a lost worker, not as an attempt with an outcome."""
    statistics: Statistics = Statistics()


# The exception types that Python's standard library, aiohttp, httpx, requests, urllib3 and Twisted raise
# when a connection, a name look-up, a TLS handshake or an answer did not come.
_NETWORK_EXCEPTION = re.compile(
    r"(^|\.)("
    r"Connection\w*Error|ConnectError|ConnectTimeout|ReadTimeout|ReadError|WriteTimeout|WriteError|PoolTimeout|"
    r"NetworkError|RemoteProtocolError|RemoteDisconnected|IncompleteRead|ProtocolError|ChunkedEncodingError|"
    r"MaxRetryError|NewConnectionError|NameResolutionError|ProxyError|"
    r"SSL\w*Error|CertificateError|gaierror|herror|URLError|(Read|Server|Socket)?Timeout(Error)?|"
    r"Client\w*Connect\w*Error|ClientOSError|ClientPayloadError|ServerDisconnectedError|"
    r"DNSLookupError|TCPTimedOutError|ConnectionLost|ConnectionDone|NoRouteError|"
    r"ResponseNeverReceived|ResponseFailed"
    r")$|^socket\.timeout$"
)
# ENETDOWN to ECONNRESET and ETIMEDOUT to EHOSTUNREACH: a bare OSError of a socket names only the number.
_NETWORK_ERRNO = re.compile(r"^OSError: .*\[Errno 1(0[0-4]|1[0-3])\]")


def classify(facts: Facts, rules: Rules) -> Verdict:
    """The verdict of an attempt that has ended, with what is known of it."""
    return replace(_classify(facts, rules), statistics=facts.statistics)


def _classify(facts: Facts, rules: Rules) -> Verdict:
    """The first rule that fits decides."""
    if facts.lost or facts.lost_with_worker:
        return Verdict(
            "lost", _lost_reason(facts), ErrorClass.SYSTEM, lost_with_worker=facts.lost_with_worker
        )
    if facts.preparation_error is not None:
        return Verdict(
            "never_started", facts.preparation_error, ErrorClass.SYSTEM, permanent=facts.preparation_permanent
        )
    if facts.spawn_error is not None:
        return Verdict(
            "never_started", facts.spawn_error.message, ErrorClass.SYSTEM, permanent=_permanent(facts)
        )
    if facts.limit is not None:
        return _ended(facts, "limit", f"limits.{facts.limit} reached", ErrorClass.LIMIT)
    if facts.cancelled:
        return _ended(facts, "cancelled", "cancelled", ErrorClass.CANCELLED)
    if facts.signal is not None:
        return _ended(facts, "signal", _signal_reason(facts), ErrorClass.SPIDER)
    return _classify_exit(facts, rules)


def _classify_exit(facts: Facts, rules: Rules) -> Verdict:
    if facts.exit_code not in rules.ok_exit_codes:
        return _ended(facts, "exit", _exit_reason(facts), _exit_class(facts))
    if facts.fatal is not None:
        reason = f"{facts.fatal.error_class}: {facts.fatal.message}"
        return _ended(facts, "exit", reason, _class_named(facts.fatal.error_class))
    if facts.items_count < rules.min_items:
        reason = f"{facts.items_count} items, fewer than outcome.min_items = {rules.min_items}"
        return _ended(facts, "exit", reason, ErrorClass.SPIDER)
    if _error_ratio(facts) > rules.max_error_ratio:
        reason = f"{facts.errors} errors beside {facts.items_count} items, over outcome.max_error_ratio"
        return _ended(facts, "exit", reason, ErrorClass.SPIDER)
    return _ended(facts, "exit", None, None)


def _ended(facts: Facts, outcome: str, reason: str | None, error_class: ErrorClass | None) -> Verdict:
    return Verdict(
        outcome=outcome,
        reason=_with_doubt(facts, reason),
        error_class=error_class,
        exit_code=facts.exit_code,
        signal=facts.signal,
        traceback=facts.traceback,
    )


def _permanent(facts: Facts) -> bool:
    return facts.spawn_error is not None and facts.spawn_error.kind != "other"


def _lost_reason(facts: Facts) -> str:
    whose = "its worker" if facts.lost_with_worker else "its runner"
    return _with_doubt(facts, f"lost: {whose} died") or ""


def _with_doubt(facts: Facts, reason: str | None) -> str | None:
    if reason is None or facts.verified:
        return reason
    return f"{reason}; the end of its processes is not verified"


def _signal_reason(facts: Facts) -> str:
    number = facts.signal or 0
    name = signals.Signals(number).name if number in signals.valid_signals() else "unknown signal"
    return f"killed by signal {number} ({name}), sender {facts.signal_sender or 'unknown'}"


def _exit_reason(facts: Facts) -> str:
    uncaught = _last_uncaught_exception(facts)
    if uncaught is None:
        return f"exit code {facts.exit_code}"
    lines = dict.fromkeys((uncaught.line, *uncaught.causes[:1]))
    return f"exit code {facts.exit_code}: " + ": ".join(line[:500] for line in lines)


def _exit_class(facts: Facts) -> ErrorClass:
    """An exception group is of the network where all that it consists of is."""
    uncaught = _last_uncaught_exception(facts)
    if uncaught is not None and uncaught.causes and all(map(_is_of_network, uncaught.causes)):
        return ErrorClass.NETWORK
    return ErrorClass.SPIDER


def _is_of_network(exception: str) -> bool:
    type_name = exception.split(":", 1)[0].strip()
    return bool(_NETWORK_EXCEPTION.search(type_name) or _NETWORK_ERRNO.search(exception))


def _last_uncaught_exception(facts: Facts) -> Uncaught | None:
    """What the traceback that ends stderr names, when Python died of it (exit code 1)."""
    if not (facts.exit_code == 1 and facts.traceback_ends_stderr and facts.traceback):
        return None
    return uncaught_in(facts.traceback)


def _class_named(name: str) -> ErrorClass:
    return ErrorClass.NETWORK if name == ErrorClass.NETWORK else ErrorClass.SPIDER


def _error_ratio(facts: Facts) -> float:
    errors = facts.errors or 0
    total = errors + facts.items_count
    return errors / total if total else 0.0
