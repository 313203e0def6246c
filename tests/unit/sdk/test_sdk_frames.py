"""Frames of the SDK through a real pipe into the decoder: whole, in order, whoever else writes."""

import ast
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from sdk_spider import environment

from silkmill.protocol.ipcparts import Error, Hello, Items, Log, Status, Text

SDK_FILES = sorted((Path(__file__).parents[3] / "src" / "silkmill" / "sdk").rglob("*.py"))


def test_every_message_arrives(run_spiders):
    said = run_spiders("""
from silkmill.sdk import error, log, save_item, save_items, status
print("before", end="")
save_item({"a": 1})
print(" after")
save_items([{"b": 2}, {"c": "ü"}])
status(0.5, "half", pages=12)
error("went wrong", "Oops", fatal=True)
try:
    1 / 0
except ZeroDivisionError as problem:
    error(problem)
log("hello", "warning", url="x")
""")
    assert said.parts == [
        Hello("python/1"),
        Text(b"before"),
        Items(b'{"a":1}\n', 1),
        Text(b" after\n"),
        Items('{"b":2}\n{"c":"ü"}\n'.encode(), 2),
        Status(b'{"pages":12,"progress":0.5,"message":"half"}', 0.5),
        Error("Oops", "went wrong", True),
        Error("ZeroDivisionError", "division by zero", False),
        Log(b'{"level":"warning","message":"hello","fields":{"url":"x"}}'),
    ]


def test_four_processes_at_once_keep_large_frames_whole(run_spiders):
    said = run_spiders(
        """
import sys, threading
from silkmill.sdk import save_item
def make_noise():
    for _ in range(500):
        print("noise " * 20, flush=True)
thread = threading.Thread(target=make_noise)
thread.start()
for number in range(3):
    save_item({"spider": sys.argv[1], "number": number, "body": sys.argv[1] * 5_000_000})
thread.join()
""",
        count=4,
    )
    items = [json.loads(item) for item in said.items]
    assert Counter((item["spider"], item["number"]) for item in items) == Counter(
        (str(spider), number) for spider in range(4) for number in range(3)
    )
    assert all(item["body"] == item["spider"] * 5_000_000 for item in items)
    assert said.bad == said.forged == 0
    assert Counter(said.text.split(b"\n")) == {b"noise " * 20: 2000, b"": 1}


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_multiprocessing_write_whole_frames(run_spiders, method):
    said = run_spiders(f"""
import multiprocessing, threading
from silkmill.sdk import save_item
def work(worker):
    threads = [threading.Thread(target=save_many, args=(worker, thread)) for thread in range(3)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
def save_many(worker, thread):
    for number in range(40):
        save_item({{"id": [worker, thread, number], "body": "x" * (number * 997 % 20_000)}})
if __name__ == "__main__":
    context = multiprocessing.get_context("{method}")
    workers = [context.Process(target=work, args=(worker,)) for worker in range(3)]
    for worker in workers: worker.start()
    work(3)
    for worker in workers: worker.join(); assert worker.exitcode == 0
""")
    ids = Counter(tuple(json.loads(item)["id"]) for item in said.items)
    assert len(ids) == 4 * 3 * 40 and set(ids.values()) == {1}
    assert said.bad == said.forged == 0 and said.text == b""


def test_a_fork_while_another_thread_writes_does_not_block_the_child(run_spiders):
    said = run_spiders("""
import os, threading
from silkmill.sdk import save_item
threading.Thread(target=lambda: [save_item({"parent": n, "body": "x" * 100_000}) for n in range(50)]).start()
for child in range(10):
    if os.fork() == 0:
        save_item({"child": child})
        os._exit(0)
    os.wait()
""")
    assert len(said.items) == 60 and said.bad == 0


def test_a_writer_killed_in_the_middle_harms_only_its_own_frame(run_spiders):
    said = run_spiders("""
import os, signal, sys, time
from silkmill.sdk import save_item
from silkmill.sdk.channel import _write
import silkmill.sdk.channel as channel
if os.fork() == 0:
    written = []
    def die_soon(data):
        _write(data)
        written.append(data)
        if len(written) == 5:
            os.kill(os.getpid(), signal.SIGKILL)
    channel._write = die_soon
    save_item({"body": "x" * 100_000})
os.wait()
save_item({"after": 1})
""")
    assert said.items == [b'{"after":1}'] and said.bad == 1


def test_a_signal_handler_may_save_while_its_thread_saves(run_spiders):
    said = run_spiders("""
import os, signal
from silkmill.sdk import save_item
import silkmill.sdk.channel as channel
signal.signal(signal.SIGUSR1, lambda *_: save_item({"handler": 1}))
write = channel._write
def write_and_signal(data):
    write(data)
    if b"+" in data[:40] and not fired:
        fired.append(1)
        signal.raise_signal(signal.SIGUSR1)
fired = []
channel._write = write_and_signal
save_item({"body": "x" * 20_000})
""")
    assert [len(item) > 100 for item in said.items] == [True, False] and said.bad == 0


def test_a_pipe_that_somebody_made_non_blocking_loses_nothing(run_spiders):
    said = run_spiders("""
import os
from silkmill.sdk import save_item
os.set_blocking(1, False)
for number in range(200):
    save_item({"number": number, "body": "x" * 10_000})
""")
    assert [json.loads(item)["number"] for item in said.items] == list(range(200)) and said.bad == 0


def test_long_lists_are_sent_in_several_frames_and_too_large_items_refused(run_spiders):
    said = run_spiders("""
from silkmill.sdk import save_item, save_items, status
save_items({"n": n, "body": "x" * 1000} for n in range(20_000))
for wrong, bad in ((save_item, {"body": "x" * (8 << 20)}), (save_item, ["list"]), (status, None)):
    try:
        wrong(bad) if bad else status(1, "x" * 70_000)
    except (TypeError, ValueError) as problem:
        print(type(problem).__name__, problem)
try:
    save_items([{"kept": 1}, 5, {"not": 1}])
except TypeError as problem:
    print(problem)
""")
    assert [json.loads(item)["n"] for item in said.items[:-1]] == list(range(20_000))
    assert said.items[-1] == b'{"kept":1}'
    assert said.text.decode().splitlines() == [
        "ValueError an item of 8388619 bytes is too large: at most 8 MiB fit a frame",
        "TypeError an item must be a mapping, a dataclass or a similar object with named fields, not list",
        "ValueError a status is at most 64 KiB",
        "an item must be a mapping, a dataclass or a similar object with named fields, not int",
    ]


def test_the_largest_item_fits(run_spiders):
    said = run_spiders("""
from silkmill.sdk import save_item
save_item({"body": "x" * ((8 << 20) - 200)})
""")
    assert len(said.items) == 1 and said.bad == 0


def test_run_by_hand_it_prints_plain_lines(sdk_folder):
    script = 'from silkmill.sdk import save_item, cancelled\nsave_item({"a": "ü"})\nprint(cancelled())'
    command = [sys.executable, "-c", script]
    printed = subprocess.run(command, env=environment(sdk_folder, nonce=""), capture_output=True, check=True)
    assert printed.stdout.decode() == '{"type":"INSERT_DATA","payload":{"a":"ü"}}\nFalse\n'


@pytest.mark.parametrize("path", SDK_FILES, ids=lambda path: path.name)
def test_it_is_written_for_python_3_8(path):
    ast.parse(path.read_text(), feature_version=(3, 8))


def test_it_imports_the_standard_library_only(sdk_folder):
    script = (
        "import sys; before = set(sys.modules); import silkmill.sdk;"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names))"
    )
    command = [sys.executable, "-S", "-c", script]
    printed = subprocess.run(
        command, env=environment(sdk_folder, ""), capture_output=True, text=True, check=True
    )
    assert printed.stdout.split() == ["silkmill"]
