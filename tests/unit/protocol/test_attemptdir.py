"""The attempt directory: files replaced as a whole, streams in segments, torn tails mended."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from silkmill.protocol import attemptdir
from silkmill.protocol.logframe import frame_line, parse_frames

NOW = 1_700_000_000_123_456_789
SPEC: Any = {
    "version": 1,
    "task": "t",
    "attempt": 2,
    "argv": ["true", "\udcff é \n"],
    "env": {"A": ""},
    "cwd": "/",
    "nonce": "n",
    "boot_id": "b",
    "ipc": "open",
    "stdin": "null",
    "limits": {"runtime": 0.0, "stall": 1, "grace": 10.0, "items": 0, "spool": 0},
    "containment": "auto",
    "environments": [],
    "log_size": 0,
    "log_lines": 0,
}


def test_a_spec_comes_back_with_arguments_that_are_not_utf8(tmp_path: Path) -> None:
    attemptdir.write_spec(str(tmp_path), SPEC)
    assert attemptdir.read_spec(str(tmp_path)) == SPEC
    assert [path.name for path in tmp_path.iterdir()] == ["spec.json"]


@pytest.mark.parametrize("at_once", [3, 1000])
def test_what_is_written_over_something_longer_is_all_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """However little the kernel takes at once; what an earlier try left is not part of it."""
    written = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: written(fd, data[:at_once], at))
    path = tmp_path / "file"
    (tmp_path / "file.new").write_bytes(b"x" * 100)
    attemptdir.replace_file(str(path), b"0123456789")
    assert path.read_bytes() == b"0123456789"
    assert [found.name for found in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "no such file"),
        ("", "Expecting value"),
        ("[]", "not an object"),
        (json.dumps(SPEC | {"version": 2}), "version 2"),
        (json.dumps(SPEC | {"argv": "true"}), "argv is 'true'"),
        (json.dumps(SPEC | {"limits": {}}), "runtime is None"),
        (json.dumps({key: value for key, value in SPEC.items() if key != "cwd"}), "cwd is None"),
    ],
)
def test_a_bad_spec_says_what_is_wrong(tmp_path: Path, content: str | None, why: str) -> None:
    if content is not None:
        (tmp_path / "spec.json").write_text(content)
    with pytest.raises(attemptdir.BadSpec) as caught:
        attemptdir.read_spec(str(tmp_path))
    assert str(caught.value).startswith(f"{tmp_path}/spec.json: ")
    assert why in str(caught.value)


def test_what_is_not_there_yet_is_none(tmp_path: Path) -> None:
    assert attemptdir.read_outcome(str(tmp_path)) is None
    assert attemptdir.read_status(str(tmp_path)) is None
    assert attemptdir.list_segments(str(tmp_path), "log") == []
    assert attemptdir.stream_size(str(tmp_path), "items") == 0


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    attemptdir.write_json(str(path), {"n": 1})
    with pytest.raises(TypeError):
        attemptdir.write_json(str(path), {"n": object()})
    assert json.loads(path.read_text()) == {"n": 1}


def test_a_status_is_read_as_it_lies_there(tmp_path: Path) -> None:
    text = b'{"status":{"n":' + b"7" * 6000 + b',"small":1.10},"errors":0}'
    (tmp_path / "status.json").write_bytes(text)
    assert attemptdir.read_status(str(tmp_path)) == text


def write_segments(directory: Path, stream: str, segments: list[bytes]) -> None:
    first = 0
    for content in segments:
        (directory / f"{stream}.{first}").write_bytes(content)
        first += len(content)


def stored(directory: Path, stream: attemptdir.Stream) -> bytes:
    segments = attemptdir.list_segments(str(directory), stream)
    return b"".join(Path(segment.path).read_bytes() for segment in segments)


def test_segments_are_listed_in_the_order_of_their_offsets(tmp_path: Path) -> None:
    for name in ("log.100", "log.20", "log.0", "items.0", "log.new", "logs.1", "log.1x", "work"):
        (tmp_path / name).write_bytes(b"12345")
    found = attemptdir.list_segments(str(tmp_path), "log")
    assert [(segment.first, segment.size, segment.end) for segment in found] == [
        (0, 5, 5),
        (20, 5, 25),
        (100, 5, 105),
    ]
    assert attemptdir.stream_size(str(tmp_path), "log") == 105


@pytest.mark.parametrize(
    ("segments", "lines"), [([], 0), ([b"a\nb\n"], 2), ([b"a\n", b"b\n"], None)], ids=str
)
def test_the_lines_of_a_small_log_are_counted(tmp_path: Path, segments: list[bytes], lines: int) -> None:
    write_segments(tmp_path, "log", segments)
    assert attemptdir.count_log_lines(str(tmp_path)) == lines


def test_the_lines_of_a_log_without_its_beginning_are_not_known(tmp_path: Path) -> None:
    (tmp_path / "log.20").write_bytes(b"a\n")
    assert attemptdir.count_log_lines(str(tmp_path)) is None


@pytest.mark.parametrize("kept", range(50))
def test_a_torn_log_is_completed_and_never_cut(tmp_path: Path, kept: int) -> None:
    whole, torn = frame_line(b"stdout", b"whole", NOW), frame_line(b"stderr", b"torn", NOW)[:kept]
    write_segments(tmp_path, "log", [whole, whole + torn])
    for _ in range(2):  # a repeat changes nothing
        attemptdir.repair_tails(str(tmp_path))
        log = stored(tmp_path, "log")
        assert log.startswith(whole + whole + torn)
        assert len(list(parse_frames(log))) == log.count(b"\n") == (3 if torn else 2)
    attemptdir.append_log(str(tmp_path), whole)
    assert list(parse_frames(stored(tmp_path, "log")))[-1].text == b"whole"


@pytest.mark.parametrize("torn", [b"", b"{", b'{"n":3}', b"x" * 200_000])
def test_a_torn_item_is_dropped(tmp_path: Path, torn: bytes) -> None:
    write_segments(tmp_path, "items", [b'{"n":1}\n', b'{"n":2}\n' + torn])
    for _ in range(2):
        attemptdir.repair_tails(str(tmp_path))
        assert stored(tmp_path, "items") == b'{"n":1}\n{"n":2}\n'


def test_an_attempt_that_never_wrote_gets_its_closing_line(tmp_path: Path) -> None:
    attemptdir.repair_tails(str(tmp_path))
    assert list(tmp_path.iterdir()) == []
    line = frame_line(b"system", b"runner lost", NOW)
    attemptdir.append_log(str(tmp_path), line)
    assert (tmp_path / "log.0").read_bytes() == line
