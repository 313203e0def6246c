"""P9: commands that cannot be started; each says exactly why, soon, and is not tried again."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.engine.server import Server, spider_folder, wait_for
from tests.faults.board import Profile, Result, Row
from tests.faults.checker import Evidence

SOON_SECONDS = 1.0
BACKOFF = '[retry]\nmax_attempts = 3\nbackoff = "0s"\non = ["system", "network", "spider", "limit"]\n'
TEXT_PARAM = '[params.text]\ntype = "str"\ndefault = ""\n'


@dataclass(frozen=True, slots=True)
class Broken:
    """A spider that cannot start. `names`: what its reason must name; `files`: name → (content, mode)."""

    name: str
    command: str
    names: tuple[str, ...]
    files: tuple[tuple[str, str, int], ...] = ()
    params: tuple[tuple[str, str], ...] = ()


CORPUS = [
    Broken("missing", "no-such-program --now", ("not found", "'no-such-program'")),
    Broken("missing-file", "./bin/no-such-file", ("no such file", "no-such-file")),
    Broken(
        "not-executable",
        "./plain.sh",
        ("not executable", "plain.sh", "0644"),
        (("plain.sh", "#!/bin/sh\n", 0o644),),
    ),
    Broken("a-directory", "./folder", ("not executable", "folder"), (("folder/file", "x", 0o644),)),
    Broken(
        "bad-shebang",
        "./run",
        ("interpreter", "/no/such/python"),
        (("run", "#!/no/such/python -u\n", 0o755),),
    ),
    Broken(
        "shebang-crlf", "./run", ("interpreter", "/bin/sh\\r"), (("run", "#!/bin/sh\r\necho\r\n", 0o755),)
    ),
    Broken("no-shebang", "./run", ("not executable", "#!"), (("run", "echo hello\n", 0o755),)),
    Broken("long-params", "echo {text}", ("arguments", "too long"), params=(("text", "x" * 200_000),)),
]


def start_failures(folder: Path, profile: Profile, result: Result) -> None:
    data = folder / "data"
    with Server(data, max_runners=1) as server:
        for broken in CORPUS:
            server.deploy(_folder_of(folder, broken))
        server.deploy(spider_folder(folder / "spiders", "fine", "print('ran')\n", BACKOFF))
        server.wait(server.submit("fine"), "finished")
        ended: list[tuple[str, tuple[str, ...]]] = []
        for _ in range(profile.pick(short=1, full=50)):
            for broken in CORPUS:
                run = _timed(lambda: server.submit(broken.name, params=dict(broken.params)))
                ended.append((_error_soon(server, run, result), broken.names))
            ended.append((_without_directory(server, data, result), ("working directory", "No such file")))
        server.wait(server.submit("fine"), "finished")
        _check(data, ended)
    result.figures = {"opaque errors": 0, "attempts of each": 1, "kinds": len(CORPUS) + 1}


def _folder_of(folder: Path, broken: Broken) -> Path:
    made = spider_folder(
        folder / "spiders", broken.name, "", BACKOFF + (TEXT_PARAM if broken.params else ""), broken.command
    )
    for name, content, mode in broken.files:
        path = made / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode())
        path.chmod(mode)
    return made


def _timed(submit: Callable[[], str]) -> tuple[str, float]:
    began = time.monotonic()
    return submit(), began


def _error_soon(server: Server, run: tuple[str, float], result: Result) -> str:
    task_id, began = run
    server.wait(task_id, "error")
    took = time.monotonic() - began
    assert took <= SOON_SECONDS, f"{task_id} took {took:.2f} s to say that it cannot start"
    result.passed(took)
    return task_id


def _without_directory(server: Server, data: Path, result: Result) -> str:
    """Its working directory goes away between its preparation and its start: the runner is held meanwhile."""
    with _held(server):
        task_id = server.submit("fine")
        attempt = data / "attempts" / f"{task_id}.1"
        wait_for((attempt / "spec.json").exists, "the attempt to be prepared")
        shutil.rmtree(attempt / "work")
    return _error_soon(server, (task_id, time.monotonic()), result)


@contextmanager
def _held(server: Server) -> Iterator[None]:
    runner = server.runners()[0]["pid"]
    os.kill(runner, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(runner, signal.SIGCONT)


def _check(data: Path, ended: list[tuple[str, tuple[str, ...]]]) -> None:
    """After all of it: one attempt each, never started, the cause in the reason and in the log."""
    evidence = Evidence(data)
    tasks = evidence.tasks()
    for task_id, names in ended:
        task = tasks[task_id]
        facts: dict[str, Any] = task.doc
        assert (task.state, facts["error_class"]) == ("error", "system"), facts
        assert [past["outcome"] for past in task.history] == ["never_started"], task.history
        assert facts["next_attempt_at"] is None and facts["exit_code"] is None, facts
        for name in names:
            assert name in facts["reason"], f"{facts['reason']!r} does not name {name!r}"
        assert facts["reason"].encode() in evidence.stream(task, "system"), "the log does not tell the cause"


ROW = Row(
    "P9",
    "missing command, not executable, bad shebang, working directory gone, arguments too long",
    "error, system, the exact cause within 1 s, no retry",
    start_failures,
)
