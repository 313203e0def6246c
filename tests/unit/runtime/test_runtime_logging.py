"""The engine's log: JSON lines in a file that rotates, readable lines on stderr."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import pytest
import structlog

from silkmill.runtime import logging as engine_logging
from silkmill.runtime.enginelog import EngineLog


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / engine_logging.FILE_NAME).read_text().splitlines()]


def test_both_our_lines_and_those_of_libraries_are_json(tmp_path: Path) -> None:
    engine_logging.set_up(tmp_path)
    structlog.get_logger("silkmill.part").warning("tick failed", cause="full", count=3)
    logging.getLogger("library").info("hello %s", "there")
    ours, theirs = lines(tmp_path)
    assert ours == {
        "event": "tick failed",
        "cause": "full",
        "count": 3,
        "level": "warning",
        "logger": "silkmill.part",
        "timestamp": ours["timestamp"],
    }
    assert str(ours["timestamp"]).endswith("Z")
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("hello there", "info", "library")


def test_an_exception_is_written_with_its_traceback(tmp_path: Path) -> None:
    engine_logging.set_up(tmp_path)
    try:
        raise KeyError("defect")
    except KeyError:
        structlog.get_logger("part").exception("went wrong")
    assert "Traceback" in str(lines(tmp_path)[0]["exception"])


def test_stderr_is_readable_and_obeys_the_level(capsys: pytest.CaptureFixture[str]) -> None:
    engine_logging.set_up(level="WARNING")
    structlog.get_logger("part").info("quiet")
    structlog.get_logger("part").warning("loud", cause="full")
    said = capsys.readouterr().err
    assert "loud" in said
    assert "cause=full" in said
    assert "quiet" not in said
    assert "\x1b" not in said


def test_the_file_rotates_by_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_logging, "FILE_BYTES", 2000)
    engine_logging.set_up(tmp_path)
    for number in range(200):
        logging.getLogger("library").warning("line %d", number)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 1 + engine_logging.FILES_KEPT
    assert all(file.stat().st_size <= 2000 for file in files)


def test_a_file_that_is_renamed_while_it_is_read_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = RotatingFileHandler(tmp_path / engine_logging.FILE_NAME, backupCount=engine_logging.FILES_KEPT)
    for number in range(3):
        handler.emit(logging.makeLogRecord({"msg": f"line {number}"}))
        handler.doRollover()
    handler.emit(logging.makeLogRecord({"msg": "line 3"}))
    original = Path.open

    def open_and_rotate(path: Path, *arguments: Any) -> Any:
        file = original(path, *arguments)
        if path.name in (engine_logging.FILE_NAME, f"{engine_logging.FILE_NAME}.2"):
            handler.doRollover()
        return file

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", open_and_rotate)
        read = list(EngineLog(tmp_path).lines())
    handler.close()
    assert read == [b"line %d\n" % number for number in range(4)]
