"""Runners that `stop --kill` found, and that end by themselves before it comes to them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from silkmill.cli import runners, stop
from silkmill.cli.runners import KilledRunner, LivingRunner, kill_runners
from silkmill.runner.processes import start_time


def test_one_that_has_ended_meanwhile_is_not_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ended, lives = subprocess.Popen(["sleep", "100"]), subprocess.Popen(["sleep", "100"])
    found = [LivingRunner(each.pid, start_time(each.pid) or 0, "a-task") for each in (ended, lives)]
    monkeypatch.setattr(runners, "living_runners", lambda data: found)
    try:
        ended.kill()
        ended.wait()
        assert kill_runners(tmp_path) == [KilledRunner(found[1])]
        assert lives.wait(10) == -9
    finally:
        lives.kill()


def test_what_does_not_die_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A process that waits for a dead disk cannot be had in a test: one that is not there plays it."""
    runner = subprocess.Popen(["sleep", "100"])
    found = LivingRunner(runner.pid, start_time(runner.pid) or 0, "a-task")
    monkeypatch.setattr(runners, "living_runners", lambda data: [found])
    monkeypatch.setattr(runners, "descendants", lambda pid: {2**30: 1})
    monkeypatch.setattr(runners, "KILL_SECONDS", 0.05)
    try:
        killed = kill_runners(tmp_path)
        assert killed == [KilledRunner(found, (2**30,))]
        assert runner.wait(10) == -9
        stop._say_killed(killed)
        assert f"still alive after SIGKILL, so the kernel holds them: {2**30}" in capsys.readouterr().err
    finally:
        runner.kill()
