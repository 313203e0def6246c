"""`logs` of a spider that logs with levels: by level, field and time, over all its tasks; of the engine."""

from __future__ import annotations

import json
import signal
import sys
import threading
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Cli, finish

SPIDER = """
import logging, sys
from silkmill.sdk import log
log("begin", pages=3)
log("refused", level="error", site="x", url="https://x.example/a b")
log("refused", level="error", site="y")
log("slow", level="warning", site="x")
log("long " * 20_000, level="critical", site="x")
sys.stdout.flush()
sys.stdout.buffer.write(b"caf\\xe9 is no UTF-8\\n")
logging.basicConfig(level="DEBUG", format="%(asctime)s [%(name)s] %(levelname)s: %(message)s")
logging.debug("details")
try:
    {}["page"]
except KeyError:
    logging.exception("failed")
print("hello", flush=True)
print("a" * 700 + "!")
print("ERROR on stdout", flush=True)
"""


@pytest.fixture(scope="module")
def logging_folder(module_path: Path) -> Path:
    folder = module_path / "talker"
    folder.mkdir()
    (folder / "main.py").write_text(SPIDER)
    command = json.dumps([sys.executable, "main.py"])
    (folder / "spider.toml").write_text(f'name = "talker"\ncommand = {command}\n')
    return folder


@pytest.fixture(scope="module")
def done(up: Cli, logging_folder: Path) -> list[str]:
    """The ids of two tasks, the older one first."""
    ids = [str(up("run", str(logging_folder), "--json").json["id"]) for _ in range(2)]
    assert up("show", ids[1], "--json").json["state"] == "finished"
    return ids


def messages(out: bytes) -> list[dict[str, object]]:
    return [json.loads(json.loads(line)["text"]) for line in out.splitlines()]


def test_exactly_the_errors_of_a_site(up: Cli, done: list[str]) -> None:
    found = up("logs", done[1], "--level", "error", "--where", "site=y", "--json")
    assert messages(found.out) == [{"level": "error", "message": "refused", "fields": {"site": "y"}}]
    pieces = up("logs", done[1], "--level", "error", "--where", "site=x", "--json").out.splitlines()
    first, *long = [json.loads(piece) for piece in pieces]
    assert json.loads(first["text"])["fields"] == {"site": "x", "url": "https://x.example/a b"}
    assert [piece["partial"] for piece in long] == [True, False]
    assert json.loads("".join(piece["text"] for piece in long))["level"] == "critical"


def test_levels_of_lines_and_of_what_continues_them(up: Cli, done: list[str]) -> None:
    shown = up("logs", done[1], "--level", "error", "--stream", "stderr").out.decode().splitlines()
    assert shown[0].endswith("[root] ERROR: failed")
    assert (shown[1], shown[-1]) == ("Traceback (most recent call last):", "KeyError: 'page'")
    assert up("logs", done[1], "--level", "error", "--grep", "^ERROR").out == b"ERROR on stdout\n"
    last = up("logs", done[1], "--level", "error", "-n", "1", "--stream", "stdout")
    assert last.out == b"ERROR on stdout\n"
    assert b"details" in up("logs", done[1], "--level", "debug", "--raw").out


def test_messages_are_shown_as_lines(up: Cli, done: list[str]) -> None:
    shown = up("logs", done[1], "--where", "site=x", "--level", "warning").out.decode().splitlines()
    time_of, rest = shown[0].split(" ", 1)
    assert datetime.fromisoformat(time_of).tzinfo is not None
    assert rest == 'ERROR refused site=x url="https://x.example/a b"'
    assert shown[1].endswith(" WARNING slow site=x")
    assert shown[2].endswith("long  site=x")
    assert len(shown) == 3
    begin = up("logs", done[1], "--where", "pages=3").out.decode()
    assert begin.endswith("Z INFO begin pages=3\n")


def test_since_a_time_and_since_a_span(up: Cli, done: list[str]) -> None:
    lines = [json.loads(line) for line in up("logs", done[1], "--json").out.splitlines()]
    middle = lines[len(lines) // 2]["time"]
    later = [json.loads(line) for line in up("logs", done[1], "--since", middle, "--json").out.splitlines()]
    assert later == [line for line in lines if line["time"] >= middle]
    assert len(up("logs", done[1], "--since", "1h", "--json").out.splitlines()) == len(lines)
    assert up("logs", done[1], "--since", "2100-01-01T00:00:00Z").out == b""
    followed = up("logs", done[1], "-f", "--since", "1h", "--where", "site=y", "--json")
    assert len(messages(followed.out)) == 1


def test_all_tasks_of_a_spider_newest_first(up: Cli, done: list[str]) -> None:
    found = up("logs", "--spider", "talker", "--since", "7d", "--grep", "^ERR.R on", "--level", "error")
    older, newer = (f"{task[-8:]}.1 ERROR on stdout" for task in done)
    assert found.out.decode().splitlines() == [newer, older]
    with_ids = up("logs", "--spider", "default/talker", "--where", "site=y", "--json").out.splitlines()
    assert [json.loads(line)["task"] for line in with_ids] == done[::-1]
    assert len(up("logs", "--spider", "talker", "-n", "3").out.splitlines()) == 3
    assert up("logs", "--spider", "talker", "--grep", "nowhere").code == 0
    assert up("logs", "--spider", "other/talker").code == 4


def test_json_of_a_spider_is_that_of_its_tasks_and_where_it_is(up: Cli, done: list[str]) -> None:
    both = [up("logs", *which, "--json").out for which in (("--spider", "talker"), (done[1],))]
    of_spider, of_task = ([json.loads(line) for line in out.splitlines()] for out in both)
    of_newest = [line for line in of_spider if line["task"] == done[1]]
    where = [{name: line.pop(name) for name in ("task", "attempt", "offset")} for line in of_newest]
    assert of_newest == of_task
    assert "caf\ufffd is no UTF-8" in [line["text"] for line in of_newest]
    assert [place["offset"] for place in where] == sorted({place["offset"] for place in where})


def test_a_spider_of_another_project_has_no_lines(up: Cli, done: list[str]) -> None:
    assert up("logs", "--spider", "other/talker").out == b""


class Slow(BaseHTTPRequestHandler):
    """Finds a line at once, and the next one never."""

    def do_GET(self) -> None:
        if "cursor=" in self.path:
            self.rfile.read(1)  # until the client leaves
            return
        line = {"task": "0" * 36, "attempt": 1, "offset": 0, "time": "", "stream": "stdout"}
        lines = [line | {"partial": False, "text": "found"}]
        body = json.dumps({"lines": lines, "unreadable": [], "next": "0" * 36}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


def test_ctrl_c_ends_a_search_at_once(alone: Cli) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    env = {"SILKMILL_URL": f"http://127.0.0.1:{server.server_port}", "SILKMILL_TOKEN": "x"}
    try:
        process = alone.start("logs", "--spider", "talker", env=env)
        assert process.stdout is not None
        assert process.stdout.readline() == b"00000000.1 found\n"
        process.send_signal(signal.SIGINT)
        assert finish(process, 10).code == 130
    finally:
        server.shutdown()
        server.server_close()


def test_the_log_of_the_engine(up: Cli, done: list[str]) -> None:
    facts = {
        "event": "log.damaged",
        "level": "error",
        "timestamp": "2026-03-01T12:00:00.5Z",
        "attempt": "a.1",
    }
    with (up.data / "log" / "silkmill.jsonl").open("a") as file:
        file.write(json.dumps(facts | {"exception": "Traceback\n  boom"}) + "\n")
    assert up("logs", "--system", "--json", "-n", "1").json["attempt"] == "a.1"
    shown = up("logs", "--system", "-n", "1").out
    assert shown == b"2026-03-01T12:00:00Z ERROR log.damaged attempt=a.1\nTraceback\n  boom\n"
    assert up("logs", "--system", "--level", "critical").out == b""
    assert up("logs", "--system", "--since", "2100-01-01T00:00:00Z").out == b""


def test_without_a_server_the_files_are_read(alone: Cli, logging_folder: Path) -> None:
    task_id = alone("run", str(logging_folder), "--json").json["id"]
    found = alone("logs", "--spider", "talker", "--where", "site=y", "--json")
    assert json.loads(found.out)["task"] == task_id
    written = (alone.data / "log" / "silkmill.jsonl").read_bytes()
    assert alone("logs", "--system", "--json").out == written
    (alone.data / "log" / "silkmill.jsonl").write_text('{"event": 1}\n')
    assert alone("logs", "--system").out == b'{"event": 1}\n'


@pytest.mark.parametrize("arguments", [(), ("-f",), ("-n", "10")])
def test_an_expression_that_never_ends_is_told(up: Cli, done: list[str], arguments: tuple[str, ...]) -> None:
    result = up("logs", done[1], "--grep", "^(a|aa)+$", *arguments)
    assert (result.code, result.out) == (2, b"")
    assert "too slow on this log" in result.err


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("last", "--system"),
        ("last", "--spider", "talker"),
        ("--spider", "talker", "--system"),
        ("--spider", "talker", "-f"),
        ("--spider", "talker", "--raw"),
        ("--system", "--attempt", "1"),
        ("--system", "--where", "a=b"),
        ("--system", "--stream", "stdout"),
        ("last", "--level", "loud"),
        ("last", "--where", "site"),
        ("last", "--since", "yesterday"),
        ("last", "--since", "2026-03-01T12:00:00"),
        ("--spider", "talker", "--grep", "("),
        ("--system", "--grep", "("),
    ],
)
def test_bad_questions(up: Cli, done: list[str], arguments: tuple[str, ...]) -> None:
    result = up("logs", *arguments)
    assert (result.code, result.out) == (2, b"")
    assert "rror: " in result.err
