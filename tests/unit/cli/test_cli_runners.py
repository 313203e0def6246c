"""Runners that `stop --kill` found, and that end by themselves before it comes to them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from silkmill.cli import runners
from silkmill.cli.runners import LivingRunner, kill_runners
from silkmill.runner.processes import start_time


def test_one_that_has_ended_meanwhile_is_not_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ended, lives = subprocess.Popen(["sleep", "100"]), subprocess.Popen(["sleep", "100"])
    found = [LivingRunner(each.pid, start_time(each.pid) or 0, "a-task") for each in (ended, lives)]
    monkeypatch.setattr(runners, "living_runners", lambda data: found)
    try:
        ended.kill()
        ended.wait()
        assert kill_runners(tmp_path) == found[1:]
        assert lives.wait(10) == -9
    finally:
        lives.kill()
