"""How an attempt's facts are judged: outcome, class, reason, and what is never retried."""

from __future__ import annotations

from typing import Any

import pytest

from silkmill.domain.outcome import ErrorClass, Facts, Fatal, Rules, SpawnError, Verdict, classify
from support.task_values import NOW


def judge(rules: Rules | None = None, **given: Any) -> Verdict:
    facts = {"ended_at": NOW, "started_at": NOW, "started": True, "pid": 1, "exit_code": 0} | given
    return classify(Facts(**facts), rules or Rules())


def traceback(last_line: str, *, ends: bool = True, exit_code: int = 1) -> dict[str, Any]:
    text = f'Traceback (most recent call last):\n  File "main.py", line 3, in <module>\n    go()\n{last_line}'
    return {"exit_code": exit_code, "traceback": text, "traceback_ends_stderr": ends}


def test_exit_0_is_well() -> None:
    assert judge() == Verdict("exit", exit_code=0)


def test_exit_3_is_exit_3() -> None:
    verdict = judge(exit_code=3, leftovers=2)
    assert (verdict.outcome, verdict.exit_code, verdict.signal) == ("exit", 3, None)
    assert (verdict.error_class, verdict.reason) == (ErrorClass.SPIDER, "exit code 3")
    assert not verdict.permanent


def test_an_uncaught_exception_is_named_and_its_traceback_kept() -> None:
    verdict = judge(**traceback("ValueError: bad page"))
    assert (verdict.error_class, verdict.reason) == (ErrorClass.SPIDER, "exit code 1: ValueError: bad page")
    assert verdict.traceback is not None
    assert verdict.traceback.startswith("Traceback")


NETWORK = [
    "ConnectionRefusedError: [Errno 111] Connection refused",
    "ConnectionError",
    "requests.exceptions.ConnectionError: HTTPConnectionPool(host='x', port=1): Max retries exceeded",
    "requests.exceptions.ConnectTimeout: timed out",
    "requests.exceptions.ReadTimeout: timed out",
    "requests.exceptions.Timeout",
    "requests.exceptions.SSLError: certificate verify failed",
    "requests.exceptions.ProxyError: no proxy",
    "requests.exceptions.ChunkedEncodingError: Connection broken",
    "urllib.error.URLError: <urlopen error [Errno -2] Name or service not known>",
    "urllib3.exceptions.MaxRetryError: too many",
    "urllib3.exceptions.ProtocolError: ('Connection aborted.', …)",
    "http.client.RemoteDisconnected: Remote end closed connection without response",
    "http.client.IncompleteRead: IncompleteRead(0 bytes read)",
    "socket.gaierror: [Errno -2] Name or service not known",
    "socket.timeout: timed out",
    "TimeoutError: timed out",
    "asyncio.exceptions.TimeoutError",
    "ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED]",
    "ssl.SSLEOFError: EOF occurred in violation of protocol",
    "httpx.ConnectError: All connection attempts failed",
    "httpx.ReadTimeout",
    "httpx.RemoteProtocolError: Server disconnected",
    "aiohttp.client_exceptions.ClientConnectorError: Cannot connect to host x:80",
    "aiohttp.client_exceptions.ClientConnectorDNSError: x",
    "aiohttp.client_exceptions.ServerDisconnectedError: Server disconnected",
    "aiohttp.client_exceptions.ServerTimeoutError: x",
    "aiohttp.client_exceptions.ClientOSError: [Errno 104] Connection reset by peer",
    "twisted.internet.error.DNSLookupError: DNS lookup failed",
    "twisted.internet.error.TCPTimedOutError: TCP connection timed out",
    "twisted.internet.error.ConnectionLost: Connection to the other side was lost",
    "twisted.web._newclient.ResponseNeverReceived: [<twisted.python.failure.Failure …>]",
    "OSError: [Errno 101] Network is unreachable",
    "OSError: [Errno 113] No route to host",
]
NOT_NETWORK = [
    "ValueError: ConnectionError",
    "ValueError: requests.exceptions.ConnectionError: refused",
    "KeyError: 'ConnectionRefusedError'",
    "MyConnectionPoolError: broken",
    "myapp.NoTimeout: x",
    "subprocess.TimeoutExpired: Command 'x' timed out after 3 seconds",
    "FileNotFoundError: [Errno 2] No such file",
    "OSError: [Errno 28] No space left on device",
    "BrokenPipeError: [Errno 32] Broken pipe",
    "urllib.error.HTTPError: HTTP Error 404: Not Found",
    "AssertionError",
]


@pytest.mark.parametrize("line", NETWORK)
def test_a_last_uncaught_exception_of_the_network_is_network(line: str) -> None:
    assert judge(**traceback(line)).error_class is ErrorClass.NETWORK


@pytest.mark.parametrize("line", NOT_NETWORK)
def test_any_other_exception_is_the_spiders(line: str) -> None:
    assert judge(**traceback(line)).error_class is ErrorClass.SPIDER


def test_a_traceback_that_was_only_logged_does_not_count() -> None:
    verdict = judge(**traceback("ConnectionRefusedError: refused", ends=False))
    assert (verdict.error_class, verdict.reason) == (ErrorClass.SPIDER, "exit code 1")


def test_only_exit_code_1_is_an_uncaught_exception() -> None:
    assert judge(**traceback("ConnectionRefusedError: x", exit_code=2)).error_class is ErrorClass.SPIDER


def test_a_connection_error_that_was_handled_by_dying_of_another_is_the_spiders() -> None:
    first = traceback("ConnectionRefusedError: [Errno 111] Connection refused")["traceback"]
    last = traceback("ValueError: no page")["traceback"]
    chain = f"{first}\n\nDuring handling of the above exception, another exception occurred:\n\n{last}"
    verdict = judge(exit_code=1, traceback=chain, traceback_ends_stderr=True)
    assert (verdict.error_class, verdict.reason) == (ErrorClass.SPIDER, "exit code 1: ValueError: no page")


def test_an_exception_with_a_long_message_is_judged_by_its_type() -> None:
    verdict = judge(**traceback("ConnectionResetError: " + "x" * 10_000 + "\nsecond line of the message"))
    assert verdict.error_class is ErrorClass.NETWORK
    assert verdict.reason is not None
    assert len(verdict.reason) < 600


@pytest.mark.parametrize(
    "kind", ["missing", "not_executable", "bad_interpreter", "bad_directory", "arguments_too_long"]
)
def test_a_command_that_cannot_start_is_permanent(kind: str) -> None:
    verdict = judge(started=False, exit_code=None, spawn_error=SpawnError(2, kind, f"the cause: {kind}"))
    assert (verdict.outcome, verdict.error_class) == ("never_started", ErrorClass.SYSTEM)
    assert verdict.reason == f"the cause: {kind}"
    assert verdict.permanent


def test_another_spawn_error_may_pass() -> None:
    verdict = judge(started=False, exit_code=None, spawn_error=SpawnError(11, "other", "no process left"))
    assert (verdict.error_class, verdict.permanent) == (ErrorClass.SYSTEM, False)


@pytest.mark.parametrize("permanent", [True, False])
def test_a_failed_preparation_never_started(permanent: bool) -> None:
    verdict = judge(
        started=False, exit_code=None, preparation_error="no such blob", preparation_permanent=permanent
    )
    assert verdict == Verdict("never_started", "no such blob", ErrorClass.SYSTEM, permanent=permanent)


@pytest.mark.parametrize(
    ("number", "name"), [(9, "SIGKILL"), (11, "SIGSEGV"), (15, "SIGTERM"), (99, "unknown signal")]
)
def test_a_signal_is_a_signal_and_not_a_cancel(number: int, name: str) -> None:
    verdict = judge(exit_code=None, signal=number, signal_sender="unknown")
    assert (verdict.outcome, verdict.signal, verdict.exit_code) == ("signal", number, None)
    assert verdict.error_class is ErrorClass.SPIDER
    assert verdict.reason == f"killed by signal {number} ({name}), sender unknown"


@pytest.mark.parametrize("limit", ["runtime", "stall", "items"])
def test_a_limit_is_a_limit_whatever_killed_it(limit: str) -> None:
    verdict = judge(exit_code=None, signal=9, signal_sender="us", limit=limit)
    assert (verdict.outcome, verdict.error_class) == ("limit", ErrorClass.LIMIT)
    assert verdict.reason == f"limits.{limit} reached"


@pytest.mark.parametrize("end", [{"exit_code": 0}, {"exit_code": 1}, {"exit_code": None, "signal": 15}])
def test_stopped_by_a_cancel_step_is_cancelled_however_it_died(end: dict[str, Any]) -> None:
    verdict = judge(cancelled=True, **end)
    assert (verdict.outcome, verdict.error_class) == ("cancelled", ErrorClass.CANCELLED)


def test_a_lost_runner_is_lost_and_system() -> None:
    verdict = judge(lost=True, exit_code=None)
    assert (verdict.outcome, verdict.error_class) == ("lost", ErrorClass.SYSTEM)
    assert (verdict.reason, verdict.lost_with_worker) == ("lost: its runner died", False)


def test_a_lost_worker_is_told_apart() -> None:
    verdict = judge(lost_with_worker=True, exit_code=None)
    assert (verdict.reason, verdict.lost_with_worker) == ("lost: its worker died", True)


def test_processes_that_are_not_proven_dead_are_said() -> None:
    doubt = "; the end of its processes is not verified"
    assert judge(exit_code=3, verified=False).reason == "exit code 3" + doubt
    assert judge(lost=True, exit_code=None, verified=False).reason == "lost: its runner died" + doubt
    assert judge(verified=False).reason is None


@pytest.mark.parametrize(
    ("named", "error_class"),
    [("network", ErrorClass.NETWORK), ("LoginFailed", ErrorClass.SPIDER), ("system", ErrorClass.SPIDER)],
)
def test_a_fatal_error_frame_fails_a_spider_that_exits_0(named: str, error_class: ErrorClass) -> None:
    verdict = judge(fatal=Fatal(named, "wrong password"))
    assert (verdict.error_class, verdict.reason) == (error_class, f"{named}: wrong password")


def test_other_exit_codes_can_be_well() -> None:
    assert judge(Rules(ok_exit_codes=(0, 4)), exit_code=4).error_class is None
    assert judge(Rules(ok_exit_codes=(4,)), exit_code=0).error_class is ErrorClass.SPIDER


def test_too_few_items() -> None:
    assert judge(Rules(min_items=3), items_count=3).error_class is None
    verdict = judge(Rules(min_items=3), items_count=2)
    assert verdict.error_class is ErrorClass.SPIDER
    assert verdict.reason == "2 items, fewer than outcome.min_items = 3"


@pytest.mark.parametrize(
    ("errors", "items", "ratio", "ok"),
    [(1, 9, 0.1, True), (2, 8, 0.1, False), (5, 0, 1.0, True), (0, 0, 0.0, True)],
)
def test_too_many_errors(errors: int, items: int, ratio: float, ok: bool) -> None:
    verdict = judge(Rules(max_error_ratio=ratio), errors=errors, items_count=items)
    assert (verdict.error_class is None) is ok
