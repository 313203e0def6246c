"""Of what did a spider die? Real interpreters end in many ways; their stderr is read as a runner does."""

from __future__ import annotations

import itertools
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runner_driver import RunnerDriver

from silkmill.domain.outcome import Facts, Rules, classify
from silkmill.runner.tracebacks import TracebackScan

SECOND_NS = 1_000_000_000

# Shaped like those of requests and urllib3: they come from a module and wrap each other.
LIBRARY = """
import logging, sys, traceback
class RequestException(IOError): pass
class ConnectionError(RequestException): pass
class NewConnectionError(Exception): pass
for kind in (RequestException, ConnectionError, NewConnectionError):
    kind.__module__ = "requests.exceptions"
"""
FAIL = "raise ConnectionError('refused')"
CAUGHT = "try: raise ConnectionError('refused')\nexcept Exception: "

DIED_OF_THE_NETWORK = {
    "one line": FAIL,
    "no message": "raise ConnectionError",
    "message of several lines": "raise ConnectionError('refused\\nCall log:\\n  - navigating\\nmore')",
    "blank lines in the message": "raise ConnectionError('refused\\n\\n\\nFor more information see\\n\\n')",
    "message that begins with a line break": "raise ConnectionError('\\nrefused')",
    "message with carriage returns": "raise ConnectionError('refused\\r\\nsecond')",
    "notes": "e = ConnectionError('x'); e.add_note('page 7\\n\\nof 9'); e.add_note('proxy b'); raise e",
    "direct cause": (
        "try: raise NewConnectionError('a\\nb')\nexcept Exception as e: raise ConnectionError('c\\nd') from e"
    ),
    "while handling another": "try: 1 / 0\nexcept Exception: raise ConnectionError('c\\nd')",
    "behind a group": (
        "try: raise ExceptionGroup('g', [ValueError(1)])\nexcept Exception: raise ConnectionError('c\\nd')"
    ),
    "group": "raise ExceptionGroup('two', [ConnectionError('a'), TimeoutError()])",
    "group with messages of several lines": "raise ExceptionGroup('two\\nlines', [ConnectionError('a\\nb')])",
    "group in a group, with notes": (
        "g = ExceptionGroup('in', [ConnectionError('a')]); g.add_note('note: x\\n\\ny')\n"
        "try: raise g\nexcept Exception as e: raise ExceptionGroup('out', [e, TimeoutError('b')])"
    ),
    "group of a chain": (
        "try: raise ConnectionError('a') from ValueError('v')\n"
        "except Exception as e: raise ExceptionGroup('g', [e])"
    ),
    "task group": (
        "import asyncio\n"
        "async def fetch(): raise ConnectionError('a\\nb')\n"
        "async def main():\n"
        "    async with asyncio.TaskGroup() as group: group.create_task(fetch())\n"
        "asyncio.run(main())"
    ),
    "logged before, then raised": f"logging.error('page 7 failed')\n{FAIL}",
    "records before, then lines": "logging.warning('slow')\nraise ConnectionError('refused\\nsecond')",
    "another one logged before": f"try: 1 / 0\nexcept Exception: logging.exception('no')\n{FAIL}",
    "Python cleans up behind it": (
        "class Session:\n    def __del__(self): raise RuntimeError('Event loop is closed')\n"
        f"session = Session()\n{FAIL}"
    ),
    "a session is left open": (
        "class Session:\n"
        "    def __del__(self): print('ERROR:asyncio:Unclosed client session\\nclient_session: <x>',"
        " file=sys.__stderr__)\n"
        f"session = Session()\n{FAIL}"
    ),
    # Nobody can know these: it is the last thing that is told, by a spider that then exits with 1.
    "logged, then exit": f"{CAUGHT}logging.exception('giving up'); sys.exit(1)",
    "printed, one more line, then exit": f"{CAUGHT}traceback.print_exc(); sys.exit('giving up')",
}
DIED_OF_ITSELF = {
    "another exception": "raise ValueError('ConnectionError: refused')",
    "another, of several lines": "raise ValueError('bad page\\nConnectionError: refused\\n')",
    "another, while handling it": f"{CAUGHT}raise ValueError('no page')",
    "a group of both": "raise ExceptionGroup('two', [ConnectionError('a'), ValueError('b')])",
    "an exception in its message": "raise ExceptionGroup('g', [ValueError('b\\nConnectionError: a')])",
    "syntax": "import ast\nast.parse('if x:\\n    f(', 'page.py')",
    "logged, then a record": f"{CAUGHT}logging.exception('no'); logging.error('sum'); sys.exit(1)",
    "logged, then a line": f"{CAUGHT}logging.exception('no')\nprint('on', file=sys.stderr); sys.exit(1)",
    "logged, then exit with a text": f"{CAUGHT}logging.exception('no')\nsys.exit('giving up')",
    "logged with a time, then a line": (
        "logging.basicConfig(format='%(asctime)s [%(name)s] %(levelname)s: %(message)s')\n"
        f"{CAUGHT}logging.exception('no')\nprint('going on', file=sys.stderr); sys.exit(1)"
    ),
    "printed, then a record": f"{CAUGHT}traceback.print_exc(); logging.warning('next page'); sys.exit(1)",
    "printed, then a record of another form": (
        "logging.basicConfig(format='%(name)s - %(levelname)s - %(message)s')\n"
        f"{CAUGHT}traceback.print_exc(); logging.warning('next page'); sys.exit(1)"
    ),
    "printed, then a progress bar": (
        f"{CAUGHT}traceback.print_exc()\n"
        "for n in range(3): print('\\r', n, '%', end='', file=sys.stderr)\nsys.exit(1)"
    ),
    "printed, then many lines": (
        f"{CAUGHT}traceback.print_exc()\nfor n in range(600): print('page', n, file=sys.stderr)\nsys.exit(1)"
    ),
    "raised where it ends nothing": (
        f"class Session:\n    def __del__(self): {FAIL}\nsession = Session(); del session; sys.exit(1)"
    ),
    "exit with a text": "sys.exit('requests.exceptions.ConnectionError: refused')",
    "no traceback": "print('ConnectionError', file=sys.stderr); sys.exit(1)",
}


def stderr_of(source: str) -> bytes:
    """What a spider with this program writes."""
    done = subprocess.run([sys.executable, "-u", "-c", LIBRARY + source], capture_output=True, check=False)
    assert done.returncode == 1, done
    return done.stderr


def scanned(data: bytes, cuts: list[int], seconds: float = 0.0) -> TracebackScan:
    """`seconds` pass between two reads."""
    scan = TracebackScan()
    edges = [0, *sorted(cut for cut in cuts if 0 < cut < len(data)), len(data)]
    for number, (start, end) in enumerate(itertools.pairwise(edges)):
        scan.feed(data[start:end], int(number * seconds * SECOND_NS))
    scan.finish()
    return scan


def judged(scan: TracebackScan) -> tuple[str | None, str | None]:
    ends = scan.ends_stream
    facts = Facts(datetime.now(UTC), exit_code=1, traceback=scan.text, traceback_ends_stderr=ends)
    verdict = classify(facts, Rules())
    return verdict.error_class, verdict.reason


@pytest.mark.parametrize("how", DIED_OF_THE_NETWORK)
def test_what_died_of_the_network(how: str) -> None:
    check_class(stderr_of(DIED_OF_THE_NETWORK[how]), "network")


@pytest.mark.parametrize("how", DIED_OF_ITSELF)
def test_what_died_of_itself(how: str) -> None:
    check_class(stderr_of(DIED_OF_ITSELF[how]), "spider")


def check_class(data: bytes, expected: str) -> None:
    """However the reads fall."""

    @settings(max_examples=25, deadline=None, database=None)
    @given(cuts=st.lists(st.integers(0, len(data)), max_size=8))
    def check(cuts: list[int]) -> None:
        error_class, reason = judged(scanned(data, cuts))
        assert error_class == expected, (reason, data.decode())

    check()


def test_all_of_a_message_is_kept() -> None:
    scan = scanned(stderr_of("raise ValueError('first\\n\\nlast')"), [])
    assert scan.text is not None
    assert scan.text.endswith("\nValueError: first\n\nlast")
    assert judged(scan) == ("spider", "exit code 1: ValueError: first")


def test_the_reason_of_a_group_names_what_is_in_it() -> None:
    data = stderr_of(DIED_OF_THE_NETWORK["group in a group, with notes"])
    reason = "exit code 1: ExceptionGroup: out (2 sub-exceptions): requests.exceptions.ConnectionError: a"
    assert judged(scanned(data, [])) == ("network", reason)


def test_what_comes_after_a_pause_is_no_message() -> None:
    data = stderr_of("raise ConnectionError('refused\\nsecond\\nthird')")
    pause = [data.index(b"second")]
    assert judged(scanned(data, pause, seconds=1.0))[0] == "network"
    assert judged(scanned(data, pause, seconds=3.0))[0] == "spider"


def test_messages_of_any_length_stay_within_the_limit() -> None:
    data = stderr_of("raise ConnectionError('\\n'.join('x' * 1000 for n in range(400)))")
    scan = scanned(data, list(range(0, len(data), 10_000)))
    assert scan.text is not None
    assert 50_000 < len(scan.text) <= 64 * 1024
    assert judged(scan)[0] == "network"


def test_a_runner_records_the_whole_traceback(runner: RunnerDriver) -> None:
    outcome = runner.python("raise ConnectionError('refused\\n\\nsecond line')").outcome()
    assert outcome["traceback_ends_stderr"]
    assert outcome["traceback"] is not None
    assert outcome["traceback"].endswith("\nConnectionError: refused\n\nsecond line")
