"""A cancel on stdin reaches the spider that asks, and leaves alone the one that does not."""

import subprocess

import pytest
from sdk_spider import start

CANCEL = b'{"type":"CANCEL","payload":{"grace_seconds":5}}\n'


@pytest.fixture
def talk(sdk_folder, tmp_path):
    """Runs a script; writes `said` to its stdin once it prints "ready"; gives the lines that follow."""

    def run(script: str, said: bytes = CANCEL, early: bytes = b"") -> list[str]:
        path = tmp_path / "spider.py"
        path.write_text("from silkmill.sdk import *\n" + script)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with start(path, sdk_folder, **pipes) as spider:
            spider.stdin.write(early)
            spider.stdin.flush()
            while b"ready" not in (line := spider.stdout.readline()):
                assert line, "the spider ended before it was ready"
            printed, _ = spider.communicate(said, timeout=30)
        assert spider.returncode == 0, printed
        return printed.decode().split("\n")[:-1]

    return run


def test_wait_cancelled_returns_when_the_cancel_comes(talk):
    script = "assert not cancelled()\nprint('ready', flush=True)\nprint(wait_cancelled(20), cancelled())"
    assert talk(script) == ["True True"]
    assert talk(script.replace("20", "0.01"), said=b"") == ["False False"]


def test_cancelled_turns_true_in_a_loop(talk):
    assert talk("print('ready', flush=True)\nwhile not cancelled(): pass\nprint('stopped')") == ["stopped"]


def test_a_cancel_that_came_before_the_first_question_is_seen_at_once(talk):
    assert talk("import time\nprint('ready', flush=True)\nprint(cancelled())", said=b"", early=CANCEL) == [
        "True"
    ]


def test_callbacks_are_called_once_and_a_failing_one_stops_no_other(talk):
    printed = talk("""
on_cancel(lambda: 1 / 0)
on_cancel(lambda: print("first"))
print("ready", flush=True)
wait_cancelled(20)
on_cancel(lambda: print("late"))
import time; time.sleep(0.2)
""")
    assert "ZeroDivisionError: division by zero" in printed
    assert sorted(line for line in printed if line in ("first", "late")) == ["first", "late"]


@pytest.mark.parametrize("noise", [b"{}\n[]\nnonsense\n\xff\n", b'{"type":"FUTURE"}\n', b'{"type":"CANCEL"'])
def test_other_lines_are_no_cancel(talk, noise):
    assert talk("print('ready', flush=True)\nprint(wait_cancelled(0.3))", said=noise) == ["False"]


def test_a_cancel_may_come_in_parts_among_other_lines(talk):
    script = "print(cancelled())\nprint('ready', flush=True)\nprint(wait_cancelled(20))"
    assert talk(script, said=b'CEL","payload":{}}\n', early=b'{"type":"X"}\n{"type":"CAN') == ["True"]


def test_a_spider_that_reads_stdin_itself_gets_all_of_it(talk):
    script = "import sys\nprint('ready', flush=True)\nsave_item({})\nprint(repr(sys.stdin.read()))"
    assert talk(script, said=b"a line\n" + CANCEL)[-1] == repr("a line\n" + CANCEL.decode())


def test_a_closed_or_empty_stdin_never_cancels(talk, sdk_folder, tmp_path):
    assert talk("print('ready', flush=True)\nprint(wait_cancelled(0.3))", said=b"") == ["False"]
    path = tmp_path / "closed.py"
    path.write_text("import os\nos.close(0)\nfrom silkmill.sdk import *\nassert not wait_cancelled(0.01)")
    assert start(path, sdk_folder, stdout=subprocess.DEVNULL).wait(30) == 0


def test_only_the_first_process_listens_and_a_fork_knows_what_its_parent_knew(talk):
    printed = talk("""
import os, subprocess, sys
def ask_a_fork():
    sys.stdout.flush()
    if os.fork() == 0:
        print("fork", wait_cancelled(0.2), flush=True)
        os._exit(0)
    os.wait()
child = "from silkmill.sdk import wait_cancelled; print('child', wait_cancelled(0.3))"
print("ready", flush=True)
subprocess.run([sys.executable, "-c", child])
print("parent", wait_cancelled(20))
ask_a_fork()
""")
    assert [line for line in printed if "HELLO" not in line] == ["child False", "parent True", "fork True"]
