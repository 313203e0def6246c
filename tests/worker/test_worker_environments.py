"""Environments of a worker: built once, shared, stopped when nobody wants them, never half made."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs
from tests.support.marked import marked
from tests.support.packages import Index, make_node_package, make_wheel
from worker_driver import WorkerDriver, ended, stdout_of, system_lines, wait_until
from worker_master import FakeMaster, Stored

from silkmill.domain.spider import Limits
from silkmill.domain.states import Phase
from silkmill.domain.version import FileEntry
from silkmill.protocol.attemptdir import read_spec
from silkmill.protocol.logframe import TEXT_LIMIT, parse_frames
from silkmill.worker.removal import remove_tree

WHO = "import os, sys, tinydep; print(tinydep.VERSION, sys.prefix, os.environ['VIRTUAL_ENV'])"


def requirements(master: FakeMaster, text: str = "tinydep\n") -> list[FileEntry]:
    return [master.file("requirements.txt", text.encode())]


def environments(data: Path) -> list[Path]:
    """All but those that are being removed."""
    return sorted(folder for folder in (data / "envs").iterdir() if not folder.name.startswith("."))


def builders(data: Path) -> list[int]:
    """Every living process that builds an environment of this worker."""
    return marked(f"SILKMILL_BUILD={data / 'envs'}")


def supervisor_of(data: Path) -> int:
    """The process of ours above the one build that is going on."""
    [supervisor] = [
        pid for pid in builders(data) if b".supervisor" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    return supervisor


def failure(stored: Stored) -> str:
    assert stored.facts is not None and stored.facts.preparation_error is not None, stored.facts
    return stored.facts.preparation_error


async def test_a_spider_gets_the_environment_it_asks_for(
    worker: WorkerDriver, master: FakeMaster, data: Path, index: Index
) -> None:
    stored = await ended(master.offer(["python", "-c", WHO], files=requirements(master)))
    [folder] = environments(data)
    venv = folder / "venv"
    assert stdout_of(stored).decode().split() == ["1.0", str(venv), str(venv)]
    assert (folder / ".ready").exists() and folder.name.startswith("requirements-")
    command = await ended(master.offer(["tinydep"], files=requirements(master)))
    assert stdout_of(command) == b"tinydep 1.0\n", "its commands come first"
    without = await ended(master.offer(["python", "-c", "import os; print('VIRTUAL_ENV' in os.environ)"]))
    assert stdout_of(without) == b"False\n"


async def test_the_build_is_told_in_the_log_before_the_spider_speaks(
    worker: WorkerDriver, master: FakeMaster, index: Index
) -> None:
    stored = await ended(master.offer(["echo", "hello"], files=requirements(master)))
    lines = system_lines(stored)
    assert lines[0].endswith("is built from requirements.txt")
    assert any("tinydep==1.0" in line for line in lines), lines
    assert lines[-2].endswith("is ready") and lines[-1] == "exit code 0"
    assert bytes(stored.log).index(b"is ready") < bytes(stored.log).index(b"hello")
    assert stored.facts is not None
    assert stored.facts.log_size == len(stored.log)
    assert stored.facts.log_lines == bytes(stored.log).count(b"\n")


async def test_the_second_run_starts_no_uv(worker: WorkerDriver, master: FakeMaster, index: Index) -> None:
    await ended(master.offer(["true"], files=requirements(master)))
    first = len(index.starts())
    again = await ended(master.offer(["true"], files=requirements(master)))
    other = [*requirements(master), master.file("main.py", b"another version")]
    third = await ended(master.offer(["true"], files=other))
    assert first == 2 and len(index.starts()) == first
    assert system_lines(again) == system_lines(third) == ["exit code 0"]


async def test_another_content_is_another_environment(
    worker: WorkerDriver, master: FakeMaster, data: Path, index: Index
) -> None:
    make_wheel(index.wheels, "other")
    await ended(master.offer(["true"], files=requirements(master)))
    included = [
        master.file("requirements.txt", b"-r more/extra.txt\n"),
        master.file("more/extra.txt", b"tinydep\nother\n"),
    ]
    stored = await ended(master.offer(["python", "-c", "import tinydep, other"], files=included))
    assert stored.facts is not None and stored.facts.exit_code == 0, bytes(stored.log)
    assert len(environments(data)) == 2


async def test_a_project_gets_its_dependencies_without_itself(
    worker: WorkerDriver, master: FakeMaster, data: Path, index: Index
) -> None:
    project = b'[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.8"\ndependencies = ["tinydep"]\n'
    files = [master.file("pyproject.toml", project)]
    stored = await ended(master.offer(["python", "-c", WHO], files=files))
    assert stdout_of(stored).startswith(b"1.0 "), bytes(stored.log)
    lock = await _lock_of(data.parent, project)
    locked = await ended(master.offer(["python", "-c", WHO], files=[*files, master.file("uv.lock", lock)]))
    assert stdout_of(locked).startswith(b"1.0 "), bytes(locked.log)
    assert index.starts("sync") and len(environments(data)) == 2
    tools = await ended(
        master.offer(["true"], files=[master.file("pyproject.toml", b"[tool.ruff]\nline-length = 100\n")])
    )
    assert system_lines(tools) == ["exit code 0"], "settings of tools ask for nothing"
    stale = project.replace(b"tinydep", b"tinydep>=0.5")
    outdated = [master.file("pyproject.toml", stale), master.file("uv.lock", lock)]
    broken = await ended(master.offer(["true"], files=outdated))
    assert "needs to be updated" in failure(broken)
    assert broken.facts is not None and broken.facts.preparation_permanent


async def _lock_of(folder: Path, project: bytes) -> bytes:
    source = folder / "locked"
    source.mkdir()
    (source / "pyproject.toml").write_bytes(project)
    process = await asyncio.create_subprocess_exec("uv", "lock", "--quiet", cwd=source)
    assert await process.wait() == 0
    return (source / "uv.lock").read_bytes()


async def test_node_modules_are_found_and_stay_as_they_were_built(
    worker: WorkerDriver, master: FakeMaster, data: Path, tmp_path: Path
) -> None:
    package = make_node_package(tmp_path / "here", "here")
    needs = {"dependencies": {"here": f"file:{package}"}, "scripts": {"postinstall": "node scripts/x.js"}}
    files = [
        master.file("package.json", json.dumps(needs).encode()),
        master.file("main.mjs", b'import here from "here"; console.log(here)\n'),
    ]
    module = await ended(master.offer(["node", "main.mjs"], files=files), seconds=60)
    assert stdout_of(module) == b"here is here\n", bytes(module.log)
    command = await ended(master.offer(["here"], files=files))
    assert stdout_of(command) == b"here is here\n"
    script = 'import("fs").then(fs => console.log(fs.existsSync("node_modules")))'
    listed = await ended(master.offer(["node", "-e", script], files=files))
    assert stdout_of(listed) == b"false\n", "nothing in the working directory leads there"
    assert [folder.name.partition("-")[0] for folder in environments(data)] == ["node"]


async def test_ten_at_once_build_once(data: Path, master: FakeMaster, index: Index) -> None:
    async with WorkerDriver(master, data, max_runners=10):
        index.hold_back()
        all_ten = [master.offer(["python", "-c", WHO], files=requirements(master)) for _ in range(10)]
        await wait_until(lambda: all(stored.log for stored in all_ten), "all ten to say what they wait for")
        index.let_pass()
        await asyncio.gather(*(ended(stored, 60) for stored in all_ten))
        assert all(stdout_of(stored).startswith(b"1.0 ") for stored in all_ten)
        assert len(index.starts("venv")) == len(index.starts("pip")) == 1
        builds = [
            stored for stored in all_ten if any("tinydep==1.0" in line for line in system_lines(stored))
        ]
        waits = [stored for stored in all_ten if "waiting" in system_lines(stored)[0]]
        assert len(builds) == 1 and len(waits) == 9
        assert all(len(system_lines(stored)) == 3 for stored in waits)


async def test_a_cancel_stops_the_build_of_which_nobody_else_has_need(
    worker: WorkerDriver, master: FakeMaster, data: Path, index: Index
) -> None:
    index.hold_back()
    stored = master.offer(["true"], files=requirements(master))
    await wait_until(index.starts, "uv to be started")
    assert len(builders(data)) >= 2
    master.cancel(stored)
    await ended(stored, seconds=5)
    assert stored.facts is not None and stored.facts.cancelled and not stored.facts.started
    assert system_lines(stored)[-1] == "cancelled before the start"
    assert stored.facts.log_size == len(stored.log)
    assert builders(data) == [] and environments(data) == []
    index.let_pass()
    after = await ended(master.offer(["python", "-c", WHO], files=requirements(master)))
    assert stdout_of(after).startswith(b"1.0 ")


@pytest.mark.parametrize("order", ["cancel", "give back"])
async def test_a_second_order_while_the_first_is_obeyed_changes_nothing(
    data: Path, master: FakeMaster, index: Index, order: str
) -> None:
    async with WorkerDriver(master, data, drain_seconds=0.0) as worker:
        index.hold_back()
        stored = master.offer(["true"], files=requirements(master))
        await wait_until(index.starts, "uv to be started")
        supervisor, [held] = supervisor_of(data), worker.agent.held
        os.kill(supervisor, signal.SIGSTOP)
        master.cancel(stored)
        await wait_until(lambda: held.undoing and held.undoing.expired(), "the first order to be obeyed")
        if order == "cancel":
            master.cancel(stored, force=True)
            await wait_until(lambda: held._cancel_force or worker.task.done(), "the second order")
        else:
            worker.agent.drain()
            await wait_until(lambda: held.giving_back or worker.task.done(), "the second order")
        assert not worker.task.done()
        os.kill(supervisor, signal.SIGCONT)
        await ended(stored)
        assert builders(data) == [] and environments(data) == []


async def test_a_shared_build_goes_on_without_the_one_who_began_it(
    worker: WorkerDriver, master: FakeMaster, index: Index
) -> None:
    index.hold_back()
    first = master.offer(["true"], files=requirements(master))
    await wait_until(index.starts, "uv to be started")
    second = master.offer(["python", "-c", WHO], files=requirements(master))
    await wait_until(lambda: second.log, "the second to wait")
    master.cancel(first)
    await ended(first, seconds=5)
    assert not second.ended.is_set()
    index.let_pass()
    await ended(second)
    assert stdout_of(second).startswith(b"1.0 ")
    assert len(index.starts("venv")) == 1
    assert any("tinydep==1.0" in line for line in system_lines(second)), "it hears the rest"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("requirements.txt", "nowhere-to-be-found==1\n", "No solution found"),
        ("requirements.txt", "tinydep==\n", "Couldn't parse requirement"),
        ("requirements.txt", "-r missing.txt\n", r"Error parsing included file"),
        ("requirements.txt", "tinydep>=2\n", "No solution found"),
        ("pyproject.toml", "[proj\n", "[Ff]ailed to parse"),
        ("package.json", '{"dependencies":', "cannot be read: Expecting value"),
        ("package.json", "[" * 100_000, "cannot be read: it is nested too deep"),
        ("package.json", '{"dependencies": {"../x": "1"}}', "EINVALIDPACKAGENAME"),
        ("pyproject.toml", "x = " + "9" * 5000, "[Ff]ailed to parse"),
    ],
)
async def test_a_broken_file_fails_for_good(
    data: Path, master: FakeMaster, index: Index, name: str, text: str, said: str
) -> None:
    async with WorkerDriver(master, data):
        stored = await ended(master.offer(["true"], files=[master.file(name, text.encode())]))
        assert failure(stored).startswith(f"{name}: ")
        assert re.search(said, failure(stored)), failure(stored)
        assert stored.facts is not None and stored.facts.preparation_permanent
        assert system_lines(stored)[-1] == f"not started: {failure(stored)}"
        assert environments(data) == []


@pytest.mark.parametrize("name", ["requirements.txt", "pyproject.toml", "package.json"])
async def test_a_file_that_is_too_large_to_be_read_fails_for_good(
    data: Path, master: FakeMaster, name: str
) -> None:
    large = master.file(name, b"#" * ((1 << 20) + 1))
    async with WorkerDriver(master, data):
        stored = await ended(master.offer(["true"], files=[large]))
        assert failure(stored).startswith(f"{name}: 1048577 bytes")
        assert stored.facts is not None and stored.facts.preparation_permanent


async def test_an_index_that_is_away_is_waited_for(
    data: Path, master: FakeMaster, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UV_OFFLINE")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setattr("silkmill.worker.environments.build._FIRST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr("silkmill.worker.environments.build._LONGEST_PAUSE_SECONDS", 0.05)
    async with WorkerDriver(master, data):
        began, limits = time.monotonic(), Limits(prepare_seconds=4.0)
        stored = master.offer(["true"], files=requirements(master, "elsewhere\n"), limits=limits)
        away = "the package index is away"
        await wait_until(lambda: sum(away in said for said, _ in stored.preparing) > 2, "some tries", 30)
        await wait_until(lambda: time.monotonic() > began + 5.0, "longer than the limit")
        assert [is_away for _, is_away in stored.preparing[:3]] == [False, True, True]
        make_wheel(index.wheels, "elsewhere")
        monkeypatch.setenv("UV_OFFLINE", "1")
        await ended(stored)
        assert stored.facts is not None and stored.facts.exit_code == 0
        assert any(away in line for line in system_lines(stored))


async def test_neither_pause_nor_try_counts_while_an_index_is_away(
    data: Path, master: FakeMaster, index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("silkmill.worker.environments.build._FIRST_PAUSE_SECONDS", 1.5)
    monkeypatch.setattr("silkmill.worker.equipping._TELL_SECONDS", 0.1)
    tried, back = tmp_path / "tried", tmp_path / "back"
    index.speak(
        f"[ -e {back} ] || {{ [ -e {tried} ] && sleep 1.5; touch {tried}; echo 'error: dns error'; exit 2; }}"
    )
    async with WorkerDriver(master, data):
        stored = master.offer(["true"], files=requirements(master), limits=Limits(prepare_seconds=1.0))
        await wait_until(lambda: len(index.starts()) == 3 or stored.facts, "a pause, a try, and a pause")
        assert stored.facts is None, "each of which is longer than the limit"
        hints = [what for what, away in stored.preparing if away]
        assert len(hints) > 10 > len(set(hints)), "repeated while it lasts"
        back.touch()
        await ended(stored)
        assert stored.facts is not None and stored.facts.exit_code == 0


async def test_the_limit_bounds_a_build(
    worker: WorkerDriver, master: FakeMaster, data: Path, index: Index
) -> None:
    index.hold_back()
    stored = master.offer(["true"], files=requirements(master), limits=Limits(prepare_seconds=0.3))
    await ended(stored, seconds=10)
    assert "longer than limits.prepare (0.3 s)" in failure(stored)
    assert stored.facts is not None and not stored.facts.preparation_permanent
    assert builders(data) == [] and environments(data) == []


async def test_the_limit_is_one_for_all_that_is_prepared(
    data: Path, master: FakeMaster, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(sha256: str, start: int = 0) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    monkeypatch.setattr(master, "blob", never)
    async with WorkerDriver(master, data):
        stored = master.offer(["true"], files=requirements(master), limits=Limits(prepare_seconds=0.3))
        await ended(stored, seconds=10)
        assert system_lines(stored) == [f"not started: {failure(stored)}"]
        assert "longer than limits.prepare (0.3 s)" in failure(stored)
    assert index.starts() == []


async def test_time_in_which_the_master_cannot_give_the_files_does_not_count(
    worker: WorkerDriver, master: FakeMaster
) -> None:
    master.fail("blob", times=5)
    files = [master.file("a", b"a")]
    stored = await ended(master.offer(["true"], files=files, limits=Limits(prepare_seconds=1.0)))
    assert stored.facts is not None and stored.facts.exit_code == 0


async def test_a_build_whose_supervisor_was_killed_is_ended_by_the_agent(
    worker: WorkerDriver, master: FakeMaster, data: Path, index: Index
) -> None:
    index.hold_back()
    stored = master.offer(["true"], files=requirements(master))
    await wait_until(index.starts, "uv to be started")
    supervisor = supervisor_of(data)
    os.kill(supervisor, signal.SIGKILL)
    await wait_until(lambda: supervisor not in builders(data), "it to be dead")
    assert builders(data), "what it has started lives on"
    master.cancel(stored)
    await ended(stored)
    assert builders(data) == [] and environments(data) == []


async def test_a_tool_that_never_ends_its_line_is_shown_in_pieces(
    worker: WorkerDriver, master: FakeMaster, index: Index
) -> None:
    index.speak("printf '%0200000d' 7; echo; echo after")
    stored = await ended(master.offer(["true"], files=requirements(master)))
    frames = [frame for frame in parse_frames(bytes(stored.log)) if frame.tag == b"system"]
    text = b"".join(frame.original() for frame in frames)
    assert b"\nuv venv: " + b"7".zfill(200_000) + b"\nuv venv: after\n" in text
    assert max(len(frame.text) for frame in frames) <= TEXT_LIMIT
    assert stored.facts is not None and stored.facts.log_lines == bytes(stored.log).count(b"\n")


async def test_what_a_build_sees_of_our_variables(
    worker: WorkerDriver, master: FakeMaster, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_OURS", "x")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    index.hold_back()
    stored = master.offer(["env"], files=requirements(master))
    await wait_until(index.starts, "uv to be started")
    seen = {
        variable.partition("=")[0]
        for pid in builders(worker.data)
        if b"/bin/uv\0venv" in Path(f"/proc/{pid}/cmdline").read_bytes()
        for variable in Path(f"/proc/{pid}/environ").read_text().split("\0")
    }
    index.let_pass()
    await ended(stored)
    assert {"UV_FIND_LINKS", "https_proxy", "PATH"} <= seen
    assert "SECRET_OF_OURS" not in seen
    given = {line.partition("=")[0] for line in stdout_of(stored).decode().splitlines()}
    assert not [name for name in given if name.startswith(("UV_", "SILKMILL_BUILD")) or "proxy" in name]


async def test_what_is_shared_cannot_be_written_by_mistake(
    worker: WorkerDriver, master: FakeMaster, data: Path, index: Index
) -> None:
    await ended(master.offer(["true"], files=requirements(master)))
    [folder] = environments(data)
    modes = {path.stat().st_mode & 0o222 for path in (folder / "venv").rglob("*") if not path.is_symlink()}
    assert modes == {0}
    assert list((folder / "venv").rglob("tinydep*.pyc")), "so what Python would add is there"


async def test_eviction_takes_the_oldest_and_never_one_in_use(
    data: Path, master: FakeMaster, index: Index
) -> None:
    for name in ("second", "third"):
        make_wheel(index.wheels, name)
    async with WorkerDriver(master, data, environments_bytes=1) as worker:
        held = master.offer(["sleep", "600"], files=requirements(master))
        await wait_until(lambda: held.pid, "the first to run")
        [first] = environments(data)
        other = await ended(master.offer(["true"], files=requirements(master, "second\n")))
        await wait_until(lambda: len(worker.agent.held) == 1, "the second to be released")
        await ended(master.offer(["true"], files=requirements(master, "third\n")))
        names = {folder.name for folder in environments(data)}
        assert first.name in names and other.facts is not None
        assert len(names) == 2, "the second had to go for the third"
        master.cancel(held, force=True)
        await ended(held)
        await wait_until(lambda: not worker.agent.held, "the release")
        await worker.agent._place.environments.tick()
        assert environments(data) == []


class Removals:
    """Of environments; each waits until it may go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun: list[Path] = []
        self.may_go_on = threading.Event()
        monkeypatch.setattr("silkmill.worker.environments.environments.remove_tree", self._remove)

    def _remove(self, folder: Path) -> None:
        self.begun.append(folder)
        assert self.may_go_on.wait(20)
        remove_tree(folder)


async def test_what_two_displaced_ones_were_is_asked_for_while_they_go(
    data: Path, master: FakeMaster, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("second", "third"):
        make_wheel(index.wheels, name)
    async with WorkerDriver(master, data, environments_bytes=1) as worker:
        second = requirements(master, "second\n")
        running = [master.offer(["sleep", "600"], files=files) for files in (requirements(master), second)]
        await wait_until(lambda: all(stored.pid for stored in running), "both to run")
        displaced = environments(data)
        for stored in running:
            master.cancel(stored, force=True)
        await wait_until(lambda: not worker.agent.held, "their release")
        removals = Removals(monkeypatch)
        third = await ended(master.offer(["true"], files=requirements(master, "third\n")))
        await wait_until(lambda: removals.begun, "a removal to begin")
        assert not set(displaced) & set(environments(data)), "both are out of sight"
        again = master.offer(["python", "-c", "import second"], files=second)
        await wait_until(lambda: again.log or again.facts, "a new build")
        removals.may_go_on.set()
        await ended(again)
        assert again.facts is not None and again.facts.exit_code == 0, again.facts
        assert third.facts is not None and third.facts.exit_code == 0
        await wait_until(lambda: not list((data / "envs").glob(".gone-*")), "all that goes to be gone")


async def test_eviction_by_age(data: Path, master: FakeMaster, index: Index) -> None:
    async with WorkerDriver(master, data) as worker:
        await ended(master.offer(["true"], files=requirements(master)))
        await wait_until(lambda: not worker.agent.held, "the release")
        await worker.agent._place.environments.tick()
        [folder] = environments(data)
    month_ago = folder.stat().st_mtime - 31 * 86400
    os.utime(folder / ".ready", (month_ago, month_ago))
    async with WorkerDriver(master, data) as worker:
        await worker.agent._place.environments.tick()
        assert environments(data) == []
        await ended(master.offer(["true"], files=requirements(master)))
        assert len(index.starts("venv")) == 2


async def test_one_that_was_used_lately_is_not_old(
    data: Path, master: FakeMaster, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    clock = SimpleNamespace(time=lambda: now)
    monkeypatch.setattr("silkmill.worker.environments.environments.time", clock)
    async with WorkerDriver(master, data, environments_seconds=50.0) as worker:
        for _ in range(2):
            await ended(master.offer(["true"], files=requirements(master)))
            await wait_until(lambda: not worker.agent.held, "the release")
            now += 40.0
        await worker.agent._place.environments.tick()
        assert len(environments(data)) == 1
        now += 40.0
        await worker.agent._place.environments.tick()
        assert environments(data) == []


async def test_an_old_one_that_is_asked_for_while_another_goes_is_not_taken_from_its_spider(
    data: Path, master: FakeMaster, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wheel(index.wheels, "second")
    async with WorkerDriver(master, data, environments_seconds=0.0) as worker:
        second = requirements(master, "second\n")
        for files in (requirements(master), second):
            await ended(master.offer(["true"], files=files))
            await wait_until(lambda: not worker.agent.held, "the release")
        removals = Removals(monkeypatch)
        ticking = asyncio.create_task(worker.agent._place.environments.tick())
        await wait_until(lambda: removals.begun, "a removal to begin")
        running = master.offer(["sleep", "600"], files=second)
        await wait_until(lambda: running.log or running.pid, "it to be built anew")
        removals.may_go_on.set()
        await ticking
        await wait_until(lambda: running.pid, "the spider to run")
        [held] = worker.agent.held
        assert [folder.name for folder in environments(data)] == held.environments


async def test_one_that_was_removed_by_hand_is_not_there_when_its_build_fails(
    worker: WorkerDriver, master: FakeMaster, data: Path, index: Index
) -> None:
    await ended(master.offer(["true"], files=requirements(master)))
    await wait_until(lambda: not worker.agent.held, "the release")
    [folder] = environments(data)
    remove_tree(folder)
    index.speak("exit 3")
    failed = await ended(master.offer(["true"], files=requirements(master)))
    assert "exit code 3" in failure(failed)
    assert environments(data) == [] and worker.agent._place.environments._room.bytes == 0
    index.speak("")
    again = await ended(master.offer(["python", "-c", WHO], files=requirements(master)))
    assert stdout_of(again).startswith(b"1.0 ")


async def test_a_build_that_ends_before_it_has_made_anything_leaves_no_warning(
    data: Path, master: FakeMaster, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("not here")

    monkeypatch.setattr("silkmill.worker.environments.build.lay_out", refuse)
    with capture_logs() as logs:
        async with WorkerDriver(master, data):
            assert "not here" in failure(await ended(master.offer(["true"], files=requirements(master))))
    assert [entry for entry in logs if "cannot be removed" in entry["event"]] == []


async def test_an_attempt_with_a_head_that_was_prepared_is_started_by_the_next_agent(
    data: Path, master: FakeMaster, index: Index
) -> None:
    async with WorkerDriver(master, data) as worker:
        stored = await ended(master.offer(["false"], files=requirements(master)))
        await wait_until(lambda: not worker.agent.held, "the release")
        [directory] = worker.attempts()
    spec = read_spec(str(directory))
    head = bytes(stored.log)[: spec["log_size"]]
    for path in directory.glob("log.*"):
        path.unlink()
    for name in ("kept", "outcome.json"):
        (directory / name).unlink()
    (directory / "log.0").write_bytes(head)
    stored.ended.clear()
    stored.facts, stored.phase, stored.log = None, Phase.PREPARING, bytearray(head[:40])
    async with WorkerDriver(master, data):
        assert [each.phase for each in master.registrations[-1].held] == [Phase.PREPARING]
        await ended(stored)
    assert stored.facts is not None and stored.facts.exit_code == 1
    assert bytes(stored.log).startswith(head) and stored.facts.log_size == len(stored.log)


async def test_an_adopted_spider_keeps_its_environment(data: Path, master: FakeMaster, index: Index) -> None:
    async with WorkerDriver(master, data):
        held = master.offer(["python", "-c", "import time; time.sleep(600)"], files=requirements(master))
        await wait_until(lambda: held.pid, "it to run")
    async with WorkerDriver(master, data, environments_bytes=0, environments_seconds=0.0) as worker:
        await worker.agent._place.environments.tick()
        assert len(environments(data)) == 1
        master.cancel(held, force=True)
        await ended(held)
        await wait_until(lambda: not worker.agent.held, "the release")
        await worker.agent._place.environments.tick()
        assert environments(data) == []
