"""A real `silkmill up` in a process of its own, driven over HTTP; nothing of silkmill is imported."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from tests.support.marked import all_pids

Value = TypeVar("Value")
FINAL = {"finished", "error", "cancelled"}


def wait_for(condition: Callable[[], Value], what: str, *, seconds: float = 30.0) -> Value:
    """Poll until the condition is truthy and return its value; on time-out say the last value."""
    deadline = time.monotonic() + seconds
    value = condition()
    while not value:
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s for {what}; last seen: {value!r}")
        time.sleep(0.02)
        value = condition()
    return value


class Server:
    """`with Server(data) as server:` starts `up`; leaving kills it and whatever still runs."""

    def __init__(
        self,
        data: Path,
        *,
        max_runners: int = 4,
        env: dict[str, str] | None = None,
        flags: Iterable[str] = (),
        under: Iterable[str] = (),
    ) -> None:
        self.data = data
        self.max_runners = max_runners
        self.env = env or {}
        self.flags = tuple(flags)
        self.under = tuple(under)  # a program that runs it in its own process, as `strace -D` does
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self.kill_runners()
        if error is not None:
            sys.stderr.write(f"--- the end of the server's own log ---\n{self.own_log()[-4000:]}\n")

    # The process.
    def start(self, *, wait: bool = True) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        command = [
            *self.under,
            sys.executable,
            "-m",
            "silkmill",
            "up",
            "--data",
            str(self.data),
            "--listen",
            "127.0.0.1:0",
        ]
        command += ["--max-runners", str(self.max_runners), *self.flags]
        clean = {k: v for k, v in os.environ.items() if not k.startswith("SILKMILL_")}
        with (self.data / "up.stderr").open("ab") as log:
            self.process = subprocess.Popen(
                command, env=clean | self.env, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        if wait:
            self.wait_ready()

    def wait_ready(self, seconds: float = 30.0) -> None:
        wait_for(self._ready, f"`silkmill up` to be ready: {self.own_log()[-2000:]}", seconds=seconds)

    def _ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(
                f"`silkmill up` ended with {self.process.returncode}: {self.own_log()[-3000:]}"
            )
        facts = self.facts()
        if facts.get("pid") != self.process.pid:
            return False
        try:
            return self.call("GET", "/readyz", raw=True) is not None
        except (OSError, urllib.error.URLError):
            return False

    def facts(self) -> dict[str, Any]:
        try:
            return dict(json.loads((self.data / "server.json").read_text()))
        except (OSError, ValueError):
            return {}

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """kill -9, as a crash would."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def stop(self, seconds: float = 30.0) -> int:
        """The first signal: drain."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def runners(self) -> dict[int, dict[str, Any]]:
        """slot → runner.json of the runners that live."""
        found = {}
        for path in sorted((self.data / "runners").glob("*/runner.json")):
            try:
                facts = json.loads(path.read_text())
                if start_time(facts["pid"]) == facts["start_time"]:
                    found[int(path.parent.name)] = facts
            except (OSError, ValueError, KeyError):
                continue
        return found

    def kill_runners(self) -> None:
        for facts in self.runners().values():
            for pid in [*descendants(facts["pid"]), facts["pid"]]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue

    def own_log(self) -> str:
        texts = [path.read_text(errors="replace") for path in [self.data / "up.stderr"] if path.exists()]
        return "".join(texts)

    # The API.
    def call(
        self, method: str, path: str, body: Any = None, *, raw: bool = False, timeout: float = 30.0
    ) -> Any:
        """One request; raises urllib.error.HTTPError. `body`: bytes as they are, anything else as JSON."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        prefix = "" if path in ("/readyz", "/healthz") else "/api/v1"
        request = urllib.request.Request(self.facts()["url"] + prefix + path, data=data, method=method)
        request.add_header("Authorization", f"Bearer {(self.data / 'token').read_text().strip()}")
        request.add_header(
            "Content-Type", "application/octet-stream" if isinstance(body, bytes) else "application/json"
        )
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            content = answer.read()
        return content if raw else json.loads(content)

    def deploy(self, folder: Path, project: str = "default") -> dict[str, Any]:
        """Upload a folder, which is named like its spider, as a version the way any client would."""
        return self._deploy(folder, f"/spiders/{project}/{folder.name}/versions")

    def deploy_any(self, folder: Path) -> dict[str, Any]:
        """The same for a folder of any number of spiders."""
        return self._deploy(folder, "/versions")

    def _deploy(self, folder: Path, route: str) -> dict[str, Any]:
        files, blobs = [], {}
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            blobs[digest] = content
            mode = path.stat().st_mode & 0o777
            files.append(
                {
                    "path": path.relative_to(folder).as_posix(),
                    "sha256": digest,
                    "size": len(content),
                    "mode": mode,
                }
            )
        for digest in self.call("POST", "/blobs/missing", {"sha256": sorted(blobs)})["missing"]:
            self.call("PUT", f"/blobs/{digest}", blobs[digest], raw=True)
        return dict(self.call("POST", route, {"files": files}))

    def submit(self, spider: str, **more: Any) -> str:
        return str(self.call("POST", "/tasks", {"spider": spider, **more})["id"])

    def submit_many(self, lines: list[dict[str, Any]]) -> list[str]:
        answer = self.call("POST", "/tasks/bulk", "\n".join(map(json.dumps, lines)).encode())
        return [str(task_id) for task_id in answer["ids"]]

    def task(self, task_id: str) -> dict[str, Any]:
        return dict(self.call("GET", f"/tasks/{task_id}"))

    def wait(self, task_id: str, *states: str, seconds: float = 30.0) -> dict[str, Any]:
        """Until the task is in one of the states (default: any final one)."""
        wanted = set(states) or FINAL
        last: dict[str, Any] = {}

        def reached() -> dict[str, Any] | None:
            last.update(self.task(task_id))
            return last if last["state"] in wanted else None

        try:
            return dict(wait_for(reached, f"{task_id} to be {wanted}", seconds=seconds) or {})
        except AssertionError as error:
            raise AssertionError(f"{error}; the task: {last}") from None

    def states_of(self, task_id: str) -> Callable[[], list[str]]:
        """Begin to follow the events; the answer tells the states of the task that were seen since."""
        seen: list[str] = []
        request = urllib.request.Request(self.facts()["url"] + "/api/v1/events")
        request.add_header("Authorization", f"Bearer {(self.data / 'token').read_text().strip()}")
        stream = urllib.request.urlopen(request, timeout=300)

        def follow() -> None:
            with contextlib.suppress(OSError, ValueError):
                for line in stream:
                    if line.startswith(b"data:") and task_id.encode() in line:
                        seen.append(json.loads(line[5:]).get("state"))

        threading.Thread(target=follow, daemon=True).start()
        return lambda: list(seen)

    def items(self, task_id: str) -> list[Any]:
        text = self.call("GET", f"/tasks/{task_id}/items?format=jsonl", raw=True)
        return [json.loads(line) for line in text.splitlines()]

    def log(self, task_id: str, stream: str = "stdout") -> bytes:
        """The bytes of one stream exactly as the spider wrote them."""
        return bytes(
            self.call("GET", f"/tasks/{task_id}/log?raw=true&stream={stream}", raw=True, timeout=120)
        )


def spider_folder(
    parent: Path, name: str, script: str, toml: str = "", command: str = "python main.py"
) -> Path:
    """A folder with a spider.toml and a main.py."""
    folder = parent / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "main.py").write_text(script)
    (folder / "spider.toml").write_text(f'name = "{name}"\ncommand = {json.dumps(command)}\n{toml}')
    return folder


def start_time(pid: int) -> int:
    """Field 22 of /proc/<pid>/stat; raises OSError when the process is gone."""
    return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19])


def descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for other in all_pids():
        try:
            fields = Path(f"/proc/{other}/stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(other)
    found, queue = [], [pid]
    while queue:
        for child in children.get(queue.pop(), []):
            found.append(child)
            queue.append(child)
    return found
