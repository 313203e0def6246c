"""Framing is exact: whatever the bytes and however they are split, the same frames, the same bytes back."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from silkmill.protocol.logframe import (
    STDERR,
    STDOUT,
    STDOUT_JSON,
    TAGS,
    TEXT_LIMIT,
    LogFramer,
    frame_line,
    missing_end,
    parse_frame,
    parse_frames,
    rfc3339,
    stream_bytes,
    system_line,
)

NOW = 1_700_000_000_123_456_789
STAMP = b"2023-11-14T22:13:20.123456789Z"

# Short pieces of every odd kind, and pieces around the limit at which a line is cut.
pieces = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"\n", b"\n\n", b"\r\n", b"\0", b"\xff", b"\x1e", b" F ", b"\xe2\x82"]),
    st.integers(-2, 2).map(lambda n: b"x" * (TEXT_LIMIT + n)),
    st.integers(-2, 2).map(lambda n: b"y" * (2 * TEXT_LIMIT + n) + b"\n"),
)
streams = st.lists(pieces, max_size=12).map(b"".join)


def framed(data: bytes, cuts: list[int]) -> tuple[bytes, int]:
    """All frames, and how many the framer has counted."""
    framer = LogFramer(STDOUT)
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    frames = [piece for a, b in itertools.pairwise(edges) for piece in framer.feed(data[a:b], NOW)]
    return b"".join([*frames, framer.finish(NOW)]), framer.lines


@given(streams, st.lists(st.integers(0, 4 * TEXT_LIMIT), max_size=8))
@example(b"x" * TEXT_LIMIT + b"\n", [TEXT_LIMIT])
@example(b"x" * (TEXT_LIMIT + 1), [1, TEXT_LIMIT])
def test_any_split_gives_the_same_frames_and_the_bytes_come_back(data: bytes, cuts: list[int]) -> None:
    whole, lines = framed(data, [])
    assert framed(data, cuts) == (whole, lines)
    assert stream_bytes(whole, STDOUT) == data
    assert whole.count(b"\n") == len(list(parse_frames(whole))) == lines
    assert all(len(frame.text) <= TEXT_LIMIT for frame in parse_frames(whole))


@given(st.lists(st.tuples(st.sampled_from([STDOUT, STDERR]), st.binary(max_size=30)), max_size=20))
def test_streams_between_one_another_come_back_each(said: list[tuple[bytes, bytes]]) -> None:
    framers = {STDOUT: LogFramer(STDOUT), STDERR: LogFramer(STDERR)}
    log = b"".join(b"".join(framers[tag].feed(data, NOW)) + system_line("note", NOW) for tag, data in said)
    log += b"".join(framer.finish(NOW) for framer in framers.values())
    for tag in (STDOUT, STDERR):
        assert stream_bytes(log, tag) == b"".join(data for own, data in said if own == tag)


def test_what_a_frame_looks_like() -> None:
    framer = LogFramer(STDOUT)
    frames = b"".join(framer.feed(b"one\n\nthree\ntail", NOW)) + framer.finish(NOW)
    lines = [b"stdout F one", b"stdout F ", b"stdout F three", b"stdout P tail"]
    assert frames == b"".join(STAMP + b" " + line + b"\n" for line in lines)
    assert framer.finish(NOW) == b""


@pytest.mark.parametrize(
    ("length", "flags"),
    [
        (TEXT_LIMIT - 1, [False]),
        (TEXT_LIMIT, [False]),
        (TEXT_LIMIT + 1, [True, False]),
        (2 * TEXT_LIMIT, [True, False]),
        (2 * TEXT_LIMIT + 1, [True, True, False]),
    ],
)
def test_a_line_is_cut_only_when_more_of_it_comes(length: int, flags: list[bool]) -> None:
    frames = list(parse_frames(framed(b"z" * length + b"\n", [])[0]))
    assert [frame.partial for frame in frames] == flags
    assert {len(frame.text) for frame in frames[:-1]} <= {TEXT_LIMIT}


def test_no_piece_is_large_and_little_is_held() -> None:
    framer = LogFramer(STDERR)
    flood = list(framer.feed(b"\n" * (1 << 20), NOW))
    assert max(map(len, flood)) < 3 << 20
    assert list(framer.feed(b"a" * TEXT_LIMIT, NOW)) == []
    assert len(list(framer.feed(b"a", NOW))) == 1


def test_rfc3339_has_nine_digits_and_follows_the_second() -> None:
    assert rfc3339(NOW) == STAMP.decode()
    assert rfc3339(NOW + 1) == "2023-11-14T22:13:20.123456790Z"
    assert rfc3339(NOW + 10**9) == "2023-11-14T22:13:21.123456789Z"
    assert rfc3339(0) == "1970-01-01T00:00:00.000000000Z"


def test_lines_of_the_engine_are_one_line_each() -> None:
    assert system_line("a\nb\udc80", NOW) == STAMP + b" system F a b?\n"
    long = frame_line(STDOUT_JSON, b"j" * (TEXT_LIMIT + 5), NOW)
    first, second = parse_frames(long)
    assert (first.partial, len(first.text), second.partial, second.text) == (
        True,
        TEXT_LIMIT,
        False,
        b"j" * 5,
    )


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"hello",
        STAMP,
        STAMP + b" stdout F",
        STAMP + b" stdout X text",
        STAMP + b" nothing F text",
        STAMP[:-1] + b" stdout F text",
    ],
)
def test_what_is_no_frame_is_left_out(line: bytes) -> None:
    assert parse_frame(line) is None
    assert list(parse_frames(line + b"\n")) == []


def test_a_torn_last_frame_is_not_read() -> None:
    log = system_line("whole", NOW) + STAMP + b" stdout F to"
    assert [frame.text for frame in parse_frames(log)] == [b"whole"]


@given(st.sampled_from(TAGS), st.binary(max_size=20).filter(lambda text: b"\n" not in text), st.data())
def test_a_log_torn_anywhere_can_be_completed(tag: bytes, text: bytes, data: st.DataObject) -> None:
    frame = frame_line(tag, text, NOW)
    torn = frame[: data.draw(st.integers(0, len(frame) - 1))]
    before, after = system_line("before", NOW), system_line("after", NOW)
    log = before + torn + missing_end(torn) + after
    frames = list(parse_frames(log))
    assert log.count(b"\n") == len(frames) == (3 if torn else 2)
    if torn:
        assert text.startswith(frames[1].text)
        assert frames[1].tag == tag or len(torn) <= len(STAMP) + len(tag)
