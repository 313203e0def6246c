"""The program itself: mistyped commands and options, targets, text for a terminal, spans, exits."""

from __future__ import annotations

import errno
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest

from silkmill.cli.app import COMMANDS, exit_of_error, run
from silkmill.cli.exits import exit_of
from silkmill.cli.logprint import read_lines
from silkmill.cli.targets import BadTarget, Target, read_target
from silkmill.cli.text import Span, age, printable, span
from silkmill.client import NoServer
from silkmill.domain.errors import BadInput, NotFound, Unavailable


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (["pss"], "ps"),
        (["lgos"], "logs"),
        (["ps", "--jsn"], "--json"),
        (["cancel", "--forse", "x"], "--force"),
    ],
)
def test_a_mistyped_word_names_the_nearest_one(
    capfd: pytest.CaptureFixture[str], arguments: list[str], nearest: str
) -> None:
    assert run(arguments) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "Did you mean" in captured.err and repr(nearest) in captured.err


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], *([name, "--help"] for name in COMMANDS)])
def test_help_is_data(capfd: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert run(arguments) == 0
    assert "Usage: silkmill" in capfd.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", ""],
        ["cancel", "last", ""],
        ["ps", "-n", "99999999999999999999"],
        ["ps", "--data", "/tmp/\udcff"],
    ],
)
def test_what_is_no_name_no_number_no_text(capfd: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert run(arguments) == 2
    assert "Invalid value" in capfd.readouterr().err


def test_a_data_directory_that_cannot_be_written_to(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "silkmill.db").touch()
    monkeypatch.setattr("os.access", lambda *_: False)  # nothing is read-only for root
    assert run(["ps", "--data", str(tmp_path)]) == 5
    assert "read a copy" in capfd.readouterr().err


def test_no_command_is_bad_input(capfd: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    assert capfd.readouterr().out == ""


def test_version(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capfd.readouterr().out.startswith("silkmill, version ")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadInput("x"), 2),
        (NotFound("task", "x"), 4),
        (Unavailable("store", "x"), 5),
        (NoServer("x"), 5),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 0),
        (NotADirectoryError(errno.ENOTDIR, "x"), 2),
        (OSError(errno.ENOSPC, "x"), 5),
        (ZeroDivisionError(), None),
    ],
)
def test_every_error_has_an_exit_code(error: BaseException, code: int | None) -> None:
    assert exit_of_error(error) == code


def test_an_engine_that_cannot_have_its_directory(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "spider.toml").touch()
    assert run(["run", str(tmp_path), "--data", "/dev/null/x"]) == 2
    assert "/dev/null" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("news", Target(None, "default", "news", None)),
        ("news@v1a", Target(None, "default", "news", "v1a")),
        ("shop/news@v1a", Target(None, "shop", "news", "v1a")),
        ("plain", Target(None, "default", "plain", None)),
        ("spider", Target(Path("spider"))),
        ("./plain", Target(Path("plain"))),
        (".", Target(Path())),
        ("sub/spider", Target(Path("sub/spider"))),
    ],
)
def test_what_run_is_pointed_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, expected: Target
) -> None:
    for folder in ("plain", "spider", "sub/spider"):
        (tmp_path / folder).mkdir(parents=True)
    for folder in ("spider", "sub/spider"):
        (tmp_path / folder / "spider.toml").touch()
    monkeypatch.chdir(tmp_path)
    assert read_target(text) == expected


@pytest.mark.parametrize("text", ["./gone", "News", "a/b/c", "/gone", "news@", "../gone", ""])
def test_what_is_neither_folder_nor_spider(text: str) -> None:
    with pytest.raises(BadTarget):
        read_target(text)


def test_control_characters_are_shown() -> None:
    assert printable("a\x1b[2Jb\rc\x9bd\u202ee\tf\ng é") == "a\\x1b[2Jb\\x0dc\\x9bd\\x202ee\tf\ng é"


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("15m", 900), ("2h", 7200), ("7d", 604800)])
def test_spans_are_read(text: str, seconds: int) -> None:
    assert Span().convert(text, None, None) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "h", "1w", "1.5h", "-1h", "36501d", "99999999999999999d"])
def test_bad_spans(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Span().convert(text, None, None)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0s"), (1.26, "1.3s"), (59, "59s"), (60, "1m"), (125, "2m5s"), (7200, "2h"), (90061, "1d1h")],
)
def test_spans_are_written(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_age() -> None:
    assert age("2026-01-01T00:00:00Z", datetime(2026, 1, 1, 1, tzinfo=UTC)) == "1h"


@pytest.mark.parametrize(
    ("state", "reason", "code"),
    [
        ("created", None, None),
        ("pending", None, None),
        ("running", None, None),
        ("finished", None, 0),
        ("error", "exit code 3", 1),
        ("cancelled", None, 3),
        ("abnormal", "sight of it was lost", None),
        ("abnormal", "cancel not verified", 1),
    ],
)
def test_the_end_of_a_task_as_an_exit_code(state: str, reason: str | None, code: int | None) -> None:
    task: dict[str, Any] = {"state": state, "reason": reason}
    assert exit_of(task) == code


def test_log_lines_may_come_in_any_pieces() -> None:
    log = b"2026-03-01T12:00:00.000000000Z stdout F one\n2026-03-01T12:00:00.000000000Z stderr P \xff\n"
    for length in range(1, len(log) + 1):
        pieces = [log[start : start + length] for start in range(0, len(log), length)]
        lines = [(line.stream, line.partial, line.text) for line in read_lines(pieces)]
        assert lines == [("stdout", False, b"one"), ("stderr", True, b"\xff")]
