"""A spider that cannot be started ends at once, with the exact cause."""

from __future__ import annotations

import errno
import time
from pathlib import Path
from typing import Any

import pytest
from runner_driver import Attempt, RunnerDriver

from silkmill.protocol.attemptdir import read_spec
from silkmill.runner.containment import ProcessTree
from silkmill.runner.spawn import spawn
from silkmill.runner.spawn_error import SpawnError


def failure(attempt: Attempt) -> tuple[str, int, str]:
    outcome = attempt.outcome()
    error = outcome["spawn_error"]
    assert error is not None
    assert not outcome["started"] and outcome["pid"] is None and outcome["exit_code"] is None
    assert outcome["verified"]
    assert attempt.system_lines() == [f"not started: {error['message']}"]
    return error["kind"], error["errno"], error["message"]


def script(path: Path, text: str, mode: int = 0o755) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_missing_command(runner: RunnerDriver) -> None:
    kind, number, message = failure(runner.run(["no-such-command", "x"], env={"PATH": "/usr/bin:/bin"}))
    assert (kind, number) == ("missing", errno.ENOENT)
    assert "'no-such-command' in PATH /usr/bin:/bin" in message


def test_missing_file(runner: RunnerDriver) -> None:
    kind, _, message = failure(runner.run(["/no/such/program"]))
    assert kind == "missing" and "/no/such/program" in message


@pytest.mark.parametrize("argv", [[], [""]])
def test_no_command(runner: RunnerDriver, argv: list[str]) -> None:
    assert failure(runner.run(argv))[0] == "missing"


def test_not_executable(runner: RunnerDriver, tmp_path: Path) -> None:
    path = script(tmp_path / "plain", "#!/bin/sh\n", 0o644)
    kind, number, message = failure(runner.run([path]))
    assert (kind, number) == ("not_executable", errno.EACCES)
    assert path in message and "0644" in message


def test_a_directory_is_not_executable(runner: RunnerDriver, tmp_path: Path) -> None:
    kind, _, message = failure(runner.run([str(tmp_path)]))
    assert kind == "not_executable" and "a directory" in message


@pytest.mark.parametrize("line", ["#!/no/such/interpreter", "#!/etc/passwd", "#!/no/such/python -u"])
def test_bad_interpreter(runner: RunnerDriver, tmp_path: Path, line: str) -> None:
    path = script(tmp_path / "spider", f"{line}\nprint(1)\n")
    kind, _, message = failure(runner.run([path]))
    assert kind == "bad_interpreter"
    assert path in message and line[2:].split()[0] in message


def test_neither_binary_nor_script(runner: RunnerDriver, tmp_path: Path) -> None:
    kind, number, message = failure(runner.run([script(tmp_path / "text", "hello\n")]))
    assert (kind, number) == ("not_executable", errno.EACCES)
    assert "#! line" in message


def test_a_program_whose_loader_is_missing(runner: RunnerDriver, tmp_path: Path) -> None:
    binary = tmp_path / "foreign"
    binary.write_bytes(Path("/bin/true").read_bytes().replace(b"/lib64/ld-linux-", b"/lib64/no-linux-"))
    binary.chmod(0o755)
    kind, _, message = failure(runner.run([str(binary)]))
    assert kind == "bad_interpreter" and "loader" in message


@pytest.mark.parametrize("cwd", ["/no/such/directory", "/etc/passwd", "/nul\0byte"])
def test_bad_directory(runner: RunnerDriver, cwd: str) -> None:
    kind, _, message = failure(runner.run(["true"], cwd=cwd))
    assert kind == "bad_directory" and repr(cwd) in message


@pytest.mark.parametrize("argv", [["true", "x" * 200_000], ["true", *["y" * 1000] * 10_000]])
def test_arguments_too_long(runner: RunnerDriver, argv: list[str]) -> None:
    kind, number, message = failure(runner.run(argv))
    assert (kind, number) == ("arguments_too_long", errno.E2BIG)
    assert "bytes" in message


@pytest.mark.parametrize(
    "changes", [{"argv": ["true", "a\0b"]}, {"env": {"A=B": "x"}}, {"argv": ["true", "\ud800"]}]
)
def test_arguments_no_system_can_carry(runner: RunnerDriver, changes: dict[str, Any]) -> None:
    argv = changes.pop("argv", ["true"])
    assert failure(runner.run(argv, **changes))[0] == "other"


def test_each_failure_takes_less_than_a_second(runner: RunnerDriver) -> None:
    before = time.monotonic()
    for _ in range(20):
        failure(runner.run(["no-such-command"]))
    assert time.monotonic() - before < 1.0


def test_the_path_of_the_spider_counts(runner: RunnerDriver, tmp_path: Path) -> None:
    tools, shadow = tmp_path / "tools", tmp_path / "shadow"
    tools.mkdir()
    shadow.mkdir()
    script(shadow / "crawl", "#!/bin/sh\necho shadow\n", 0o644)  # not executable: the next one counts
    script(tools / "crawl", "#!/bin/sh\necho tools\n")
    attempt = runner.run(["crawl"], env={"PATH": f"/no/such:{shadow}:{tools}"})
    assert attempt.output() == b"tools\n"
    assert failure(runner.run(["crawl"], env={"PATH": str(shadow)}))[0] == "not_executable"


def test_a_relative_command_counts_from_its_directory(runner: RunnerDriver) -> None:
    for argv, path in ((["./spider.sh"], "/bin"), (["spider.sh"], "."), (["spider.sh"], ":/bin")):
        attempt = runner.make_attempt(argv, env={"PATH": path})
        script(attempt.work / "spider.sh", "#!/bin/sh\necho here\n")
        runner.send(op="run", dir=str(attempt.directory))
        runner.wait_event("done")
        assert attempt.output() == b"here\n"


def test_a_failed_start_leaves_no_descriptor(runner: RunnerDriver) -> None:
    runner.run(["no-such-command"])
    before = runner.open_descriptors()
    for argv in (["no-such-command"], ["true", "x" * 200_000], ["true"]):
        runner.run(argv)
    assert runner.open_descriptors() == before


class ClosedTree(ProcessTree):
    def enter(self) -> None:
        raise OSError(errno.EAGAIN, "no more groups")


def test_a_tree_that_cannot_be_entered(runner: RunnerDriver) -> None:
    """A cgroup that the host refuses fails the attempt, not its runner."""
    spec = read_spec(str(runner.make_attempt(["true"]).directory))
    with pytest.raises(SpawnError, match="no more groups") as caught:
        spawn(spec, ClosedTree(), (0, 1, 2))
    assert (caught.value.failure["kind"], caught.value.failure["errno"]) == ("other", errno.EAGAIN)
