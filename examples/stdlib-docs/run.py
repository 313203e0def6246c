"""`make run`: the crawl of this folder as a task of a real engine, shown as it happens and then checked."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from silkmill.client import Client, ConnectionLost, find_server

FOLDER = Path(__file__).resolve().parent
DATA = FOLDER.parents[1] / ".cache" / "run"
SILKMILL = [sys.executable, "-m", "silkmill"]
LEAST_ITEMS = 300
START_SECONDS = 30
ENDED = (0, 1, 3)  # finished, error, cancelled


def main() -> int:
    remove_last_run()
    with engine() as client, Watch(client) as watch:
        ended = show("run", str(FOLDER))
        if ended.returncode not in ENDED:
            sys.exit(f"there is no task: silkmill run ended with {ended.returncode}")
        lines = silkmill("items", "last", capture_output=True).stdout.splitlines()
        task = json.loads(silkmill("show", "last", "--json", capture_output=True).stdout)
    print_states(task, watch.seen)
    print_items(lines)
    return verdict(ended.returncode, task, lines)


def remove_last_run() -> None:
    if DATA.exists():
        silkmill("stop", "--kill", capture_output=True)  # refuses when, as usual, none is left
        shutil.rmtree(DATA)


@contextmanager
def engine() -> Iterator[Client]:
    """`silkmill up` as a process of its own, on a free port, with a data directory of its own."""
    DATA.mkdir(parents=True)
    log = DATA / "up.log"
    say("$ silkmill up --data", DATA)
    with log.open("wb") as talk:
        up = subprocess.Popen([*SILKMILL, "up", *here(), "--listen", "127.0.0.1:0"], stdout=talk, stderr=talk)
    try:
        wait_ready(up, log)
        with Client.find(DATA) as client:
            yield client
    finally:
        up.terminate()
        up.wait()


def wait_ready(up: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while find_server(DATA) is None:
        if up.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"silkmill up did not start:\n{log.read_text()}")
        time.sleep(0.05)


class Watch:
    """The engine's events while it is entered: every change of the task, as it was committed."""

    def __init__(self, client: Client) -> None:
        self._client, self._ready = client, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.seen: list[tuple[datetime, dict[str, Any]]] = []

    def __enter__(self) -> Watch:
        self._thread.start()
        self._ready.wait(START_SECONDS)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._thread.join(START_SECONDS)

    def _watch(self) -> None:
        try:
            for event in self._client.events():
                self._ready.set()
                if event.name in ("task", "task.ended"):
                    self.seen.append((datetime.now(UTC), event.value))
                if event.name == "task.ended":
                    return
        except ConnectionLost as error:
            say(f"events ended: {error}")


def show(*arguments: str) -> subprocess.CompletedProcess[str]:
    say("$ silkmill", *arguments, "--data", DATA)
    return silkmill(*arguments)


def silkmill(*arguments: str, **how: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*SILKMILL, *arguments, *here()], text=True, **how)


def here() -> list[str]:
    return ["--data", str(DATA)]


def print_states(task: dict[str, Any], seen: list[tuple[datetime, dict[str, Any]]]) -> None:
    say("\nThe task's states, as they were committed:")
    say(f"  {task['created_at'][11:23]}  created")
    for at, change in seen:
        say(f"  {at:%T.%f}"[:14], "", change["state"], f"({change['phase']})" if change["phase"] else "")


def print_items(lines: list[str]) -> None:
    say("\nThe first items:")
    for line in lines[:5]:
        item = json.loads(line)
        counted = f"{item['functions']:4} functions{item['classes']:4} classes"
        say(f"  {item['module']:24}{counted}  {item['synopsis']}")


def verdict(code: int, task: dict[str, Any], lines: list[str]) -> int:
    distinct = len({json.loads(line)["module"] for line in lines})
    say(f"\n{len(lines)} items, {distinct} of them distinct; the task is {task['state']}")
    say(f"Look around: .venv/bin/silkmill show last --data {DATA}")
    good = code == 0 and task["state"] == "finished" and len(lines) == distinct >= LEAST_ITEMS
    if not good:
        say(f"FAILED: at least {LEAST_ITEMS} items, all distinct, of a finished task were expected")
    return 0 if good else 1


def say(*words: object) -> None:
    print(*words, flush=True)


if __name__ == "__main__":
    sys.exit(main())
