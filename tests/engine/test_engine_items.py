"""Items as the spider printed them: every digit, large ones, and those of several processes at once."""

from __future__ import annotations

import itertools
import json
import string
from pathlib import Path

from tests.engine.conftest import Run
from tests.engine.server import Server
from tests.faults.staging import high_water_mark

MIB = 1 << 20
PRINT_FRAMES = """
import os, sys
for line in open(os.environ["ITEMS"]):
    sys.stdout.write('{"type":"INSERT_DATA","payload":' + line.rstrip("\\n") + "}\\n")
"""
FOUR_PROCESSES = """
import multiprocessing, os, time

def crawl(worker):
    from silkmill.sdk import save_item
    for number in range(300):
        save_item({"worker": worker, "number": number, "page": "x" * (number % 40 * 400)})
        os.write(1, b"worker %d saved %d\\n" % (worker, number))  # print writes its newline apart

if __name__ == "__main__":
    processes = [multiprocessing.Process(target=crawl, args=(worker,)) for worker in range(4)]
    for process in processes: process.start()
    for process in processes: process.join()
    assert all(process.exitcode == 0 for process in processes)
"""


def printed_by(run: Run, server: Server, file: Path, items: list[bytes]) -> tuple[dict[str, object], bytes]:
    """The task that printed these items, and what the API gives back."""
    file.write_bytes(b"".join(item + b"\n" for item in items))
    task = run(PRINT_FRAMES, env={"ITEMS": str(file)})
    return task, server.call("GET", f"/tasks/{task['id']}/items?format=jsonl", raw=True, timeout=60)


def test_numbers_keep_all_their_digits(run: Run, server: Server, tmp_path: Path) -> None:
    items = [
        b'{"id":1234567890123456789}',
        b'{"id":' + b"1234567890" * 600 + b"}",
        b'{"price":0.10000000000000000000000001,"huge":1e400,"zero":-0.0}',
        b'{"spaces" : [1,  2],"order":1,"a":2}',
    ]
    task, answer = printed_by(run, server, tmp_path / "items", items)
    assert (task["state"], task["items"]) == ("finished", 4)
    assert answer.splitlines() == items


def test_an_item_of_five_megabytes(run: Run, server: Server, tmp_path: Path) -> None:
    items = [b'{"before":1}', b'{"page":"' + b"0123456789" * 500_000 + b'"}', b'{"after":1}']
    task, answer = printed_by(run, server, tmp_path / "items", items)
    assert task["state"] == "finished"
    assert answer == b"".join(item + b"\n" for item in items)


def test_a_frame_of_a_million_keys_takes_little_memory(run: Run, server: Server, tmp_path: Path) -> None:
    printed_by(run, server, tmp_path / "small", [b'{"a":1}'])
    before = {facts["pid"]: high_water_mark(facts["pid"]) for facts in server.runners().values()}
    item = b"{" + b",".join(b'"%b":1' % key for key in million_keys()) + b"}"
    task, answer = printed_by(run, server, tmp_path / "large", [item])
    assert task["state"] == "finished"
    assert answer == item + b"\n"
    after = {facts["pid"]: high_water_mark(facts["pid"]) for facts in server.runners().values()}
    grown = max(mark - before.get(pid, 8 * MIB) for pid, mark in after.items())
    assert grown <= 64 * MIB, f"{grown / MIB:.1f} MiB"


def million_keys() -> list[bytes]:
    """Short ones, so that all of it fits into a frame of 8 MiB."""
    alphabet = (string.ascii_letters + string.digits + string.punctuation + " ").translate(
        {34: None, 92: None}
    )
    lengths = (itertools.product(alphabet, repeat=length) for length in (1, 2, 3, 4))
    keys = ["".join(key).encode() for key in itertools.islice(itertools.chain(*lengths), 1_000_000)]
    assert len(set(keys)) == 1_000_000
    return keys


def test_four_processes_at_once_through_the_sdk(run: Run, server: Server) -> None:
    task = run(FOUR_PROCESSES)
    assert (task["state"], task["items"]) == ("finished", 1200)
    items = server.items(task["id"])
    for worker in range(4):
        assert [item["number"] for item in items if item["worker"] == worker] == list(range(300))
    assert all(item["page"] == "x" * (item["number"] % 40 * 400) for item in items)
    lines = server.log(task["id"]).decode().splitlines()
    assert sorted(lines) == sorted(f"worker {w} saved {n}" for w in range(4) for n in range(300))


def test_every_format_gives_the_same_items(run: Run, server: Server, tmp_path: Path) -> None:
    items = [b'{"n":%d,"text":"\\u00e9, \\"quoted\\""}' % number for number in range(1000)]
    task, answer = printed_by(run, server, tmp_path / "items", items)
    assert answer.splitlines() == items
    as_list = server.call("GET", f"/tasks/{task['id']}/items?format=json")
    assert as_list == [json.loads(item) for item in items]
    page = server.call("GET", f"/tasks/{task['id']}/items?cursor=990&limit=5", raw=True)
    assert page.splitlines() == items[990:995]
