"""How a spider ended, and what it said, arrive in the attempt directory as they were."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest
from runner_driver import NONCE, RunnerDriver

from silkmill.protocol import logframe


@pytest.mark.parametrize("code", [0, 1, 3, 255])
def test_exit_code(runner: RunnerDriver, code: int) -> None:
    attempt = runner.run(["sh", "-c", f"exit {code}"])
    outcome = attempt.outcome()
    assert (outcome["exit_code"], outcome["signal"], outcome["signal_sender"]) == (code, None, None)
    assert outcome["started"] and outcome["verified"] and not outcome["lost"]
    assert attempt.system_lines() == [f"exit code {code}"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_signal_of_unknown_sender_is_no_cancel(runner: RunnerDriver, number: int) -> None:
    attempt = runner.run(["sh", "-c", f"kill -{number} $$"])
    outcome = attempt.outcome()
    assert (outcome["exit_code"], outcome["signal"], outcome["signal_sender"]) == (None, number, "unknown")
    assert not outcome["cancelled"]
    assert attempt.system_lines() == [f"killed by signal {number}, sender unknown"]


def test_events_and_facts_of_a_run(runner: RunnerDriver) -> None:
    attempt = runner.run(["sh", "-c", "echo out; echo err >&2"])
    outcome = attempt.outcome()
    kinds = [event["event"] for event in runner.events if event["event"] != "wrote"]
    assert kinds == ["started", "exited", "done"]
    assert {event["attempt"] for event in runner.events} == {str(attempt.directory)}
    assert runner.events[0]["pid"] == outcome["pid"]
    assert runner.events[0]["at"] == outcome["started_at"]
    assert outcome["started_at"] <= outcome["ended_at"]  # type: ignore[operator]
    assert outcome["log_size"] == len(attempt.log())
    assert outcome["max_rss_bytes"] > 0
    names = sorted(path.name for path in attempt.directory.iterdir())
    assert names == ["log.0", "outcome.json", "spec.json", "work"]


def test_each_stream_comes_back_byte_for_byte(runner: RunnerDriver) -> None:
    source = """
import os, random
chance = random.Random(7)
data = bytes(chance.choice(b"\\n\\r\\0\\xff\\xfeab{\\x1e") for _ in range(300000))
data += b"x" * 200000 + b"\\n\\ntail"
open("said", "wb").write(data)
for stream in (1, 2):
    start = 0
    while start < len(data):
        start += os.write(stream, data[start:start + chance.randrange(1, 9000)])
"""
    attempt = runner.python(source)
    said = (attempt.work / "said").read_bytes()
    assert attempt.output(logframe.STDOUT) == said
    assert attempt.output(logframe.STDERR) == said
    assert attempt.outcome()["exit_code"] == 0


def test_the_tail_without_newline_is_never_lost(runner: RunnerDriver) -> None:
    for number in range(100):
        attempt = runner.run(["sh", "-c", f"printf 'tail {number}'"])
        assert attempt.output() == f"tail {number}".encode()
        assert logframe.parse_frame(attempt.log().splitlines()[0]).partial  # type: ignore[union-attr]


def test_argv_environment_directory_and_streams_of_a_spider(runner: RunnerDriver) -> None:
    source = """
import json, os, signal, sys
ignored = [n for n in signal.valid_signals() if n < 32 and signal.getsignal(n) == signal.SIG_IGN]
print(json.dumps({
    "argv": sys.argv[1:], "cwd": os.getcwd(), "names": sorted(os.environ), "odd": os.environ["ODD"],
    "leads": os.getpid() == os.getsid(0) == os.getpgid(0),
    "open": sorted(map(int, os.listdir("/proc/self/fd"))),
    "blocked": len(signal.pthread_sigmask(signal.SIG_BLOCK, [])), "ignored": ignored,
    "blocking": [os.get_blocking(n) for n in range(3)], "oom": int(open("/proc/self/oom_score_adj").read()),
}))
"""
    words = ["", "a b", "$HOME", "*", "'\"", "é\udcff", "-x"]
    changes = {"env": {"ODD": "line\nend=\udcfe"}}
    attempt = runner.run([sys.executable, "-I", "-S", "-c", source, *words], **changes)
    seen = json.loads(attempt.output())
    spec = json.loads((attempt.directory / "spec.json").read_text())
    assert seen["argv"] == words
    assert seen["odd"] == "line\nend=\udcfe"
    assert seen["cwd"] == str(attempt.work)
    assert set(seen["names"]) - {"LC_CTYPE"} == set(spec["env"])
    assert seen["leads"] and seen["blocked"] == 0
    assert set(seen["ignored"]) <= {signal.SIGPIPE, signal.SIGXFSZ}  # Python ignores these two itself
    assert seen["open"] == [0, 1, 2, 3]  # 3 is the directory being listed
    assert seen["blocking"] == [True, True, True]
    assert seen["oom"] > int(Path(f"/proc/{runner.process.pid}/oom_score_adj").read_text())


def test_stdin_stays_open_or_is_empty(runner: RunnerDriver) -> None:
    reads = ["sh", "-c", "cat; echo end"]
    assert runner.run(reads, stdin="null").output() == b"end\n"
    attempt = runner.begin(reads, limits={"runtime": 0.3, "grace": 0.1})
    runner.wait_event("done")
    assert attempt.output() == b""
    assert attempt.outcome()["limit"] == "runtime"


def test_messages_become_items_status_and_facts(runner: RunnerDriver) -> None:
    frames = [
        {"type": "INSERT_DATA", "payload": [{"n": 1}, {"n": 2}]},
        {"type": "STATUS", "payload": {"progress": 0.25, "pages": 7}},
        {"type": "STATUS", "payload": {"message": "on"}},
        {"type": "ERROR", "payload": {"class": "network", "message": "no route", "fatal": True}},
        {"type": "LOG", "payload": {"level": "info", "message": "hello"}},
        {"type": "INSERT_DATA", "payload": {"n": 12345678901234567890}},
    ]
    text = "\n".join(map(json.dumps, frames)) + '\n{"type": "STATUS", "payload": [\n'
    attempt = runner.python(f"print('before'); print({text!r}, end=''); print('after')")
    outcome = attempt.outcome()
    assert attempt.items() == b'{"n": 1}\n{"n": 2}\n{"n": 12345678901234567890}\n'
    assert (outcome["items_count"], outcome["items_size"]) == (3, len(attempt.items()))
    assert attempt.output() == b'before\n{"type": "STATUS", "payload": [\nafter\n'
    assert attempt.output(logframe.STDOUT_JSON) == b'{"level": "info", "message": "hello"}\n'
    assert outcome["fatal"] == {"class": "network", "message": "no route"}
    assert (outcome["errors"], outcome["bad_frames"], outcome["progress"]) == (1, 1, 0.25)
    assert outcome["log_lines"] == len(list(logframe.parse_frames(attempt.log()))) == 6
    assert attempt.system_lines()[0].startswith("bad frame, kept as a log line:")
    status = json.loads((attempt.directory / "status.json").read_text())
    assert (status["status"], status["errors"], status["bad_frames"]) == ({"message": "on"}, 1, 1)
    assert status["progress"] == 0.25


def test_many_bad_and_forged_frames_are_counted_in_the_end(runner: RunnerDriver) -> None:
    hello = f'\x1e{NONCE} {{"type":"HELLO","payload":{{"sdk":"python/1"}}}}\n'
    bad = f"\x1e{NONCE} {{\n" * 9
    forged = '{"type":"INSERT_DATA","payload":{"n":1}}\n' * 3
    attempt = runner.python(f"print({hello + bad + forged!r}, end='')")
    lines = attempt.system_lines()
    assert attempt.items() == b""
    assert attempt.output() == (bad + forged).encode()
    assert sum(line.startswith("bad frame") for line in lines) == 5
    assert "9 bad frames in all, kept as log lines" in lines
    assert "3 frames without the nonce in all, kept as log lines" in lines
    assert lines[-1] == "exit code 0"


def test_the_last_traceback_is_kept(runner: RunnerDriver) -> None:
    attempt = runner.python(
        "import sys, traceback\n"
        "try: 1/0\nexcept ZeroDivisionError: traceback.print_exc()\n"
        "print('going on', file=sys.stderr)\nopen('/no/such')"
    )
    outcome = attempt.outcome()
    assert outcome["exit_code"] == 1
    assert outcome["traceback"] is not None and outcome["traceback_ends_stderr"]
    lines = outcome["traceback"].splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "FileNotFoundError: [Errno 2] No such file or directory: '/no/such'"
    assert "ZeroDivisionError" not in outcome["traceback"]


def test_a_long_traceback_fits_into_the_outcome(runner: RunnerDriver) -> None:
    attempt = runner.python("raise ValueError('\\x1b' * 200000)")
    traceback = attempt.outcome()["traceback"]
    assert traceback is not None
    assert 8000 < len(traceback) <= 64 * 1024


def test_status_is_written_while_the_spider_runs(runner: RunnerDriver) -> None:
    source = """
import time
for n in range(40):
    print('{"type":"STATUS","payload":{"n":%d}}' % n); time.sleep(0.05)
"""
    attempt = runner.begin([sys.executable, "-c", source])
    changes = set()
    while not (attempt.directory / "outcome.json").exists():
        try:
            changes.add((attempt.directory / "status.json").stat().st_ino)
        except FileNotFoundError:
            continue
    runner.wait_event("done")
    assert 3 <= len(changes) <= 8, changes
    assert json.loads((attempt.directory / "status.json").read_text())["status"] == {"n": 39}
