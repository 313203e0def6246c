"""Expressions that search takes and refuses; and the filter that spares it blocks."""

from __future__ import annotations

import itertools
import re
import time
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from silkmill.domain.errors import BadInput
from silkmill.master.logs import Wanted, grams, needle, parse_needle
from silkmill.master.logs.pages import LogPage
from silkmill.master.logs.sieve import Sieve
from silkmill.master.logs.wanted import frame_time
from silkmill.protocol.logframe import frame_line
from silkmill.protocol.loglevel import Level


@pytest.mark.parametrize("plain", ["error", "item 12/34", "größe", 'x="1"', ""])
def test_plain_text_stays_bytes(plain: str) -> None:
    assert parse_needle(plain) == plain.encode()


@pytest.mark.parametrize(
    "expression", ["a+b*", r"\d{4}-\d\d", "(foo|bar)+", "^x$", "(ab){3}c*", r"(?i)error", r"(\d+\.)+"]
)
def test_usual_expressions_are_taken(expression: str) -> None:
    parsed = parse_needle(expression)
    assert isinstance(parsed, re.Pattern)
    assert parsed.pattern == expression.encode()


@pytest.mark.parametrize("expression", ["(", "[", "*", "a**", "(?P<x>"])
def test_a_broken_expression_is_bad_input(expression: str) -> None:
    with pytest.raises(BadInput, match="cannot be used"):
        parse_needle(expression)


def test_an_expression_that_would_take_long_to_compile_is_bad_input() -> None:
    assert parse_needle("a|" * 2048)
    with pytest.raises(BadInput, match="longer than"):
        parse_needle("a|" * 2048 + "b")


def test_a_machine_may_be_slow_at_looking_for_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    hours = itertools.count(step=3600.0)
    monkeypatch.setattr(time, "monotonic", lambda: next(hours))
    line = frame_line(b"stdout", b"ERROR failed", 1)
    page = LogPage(0, line * 100, len(line) * 100, True)
    assert len(Sieve(Wanted(level=Level.ERROR)).hits(page)) == 100


@pytest.mark.parametrize(
    ("expression", "required"),
    [
        ("page \\d+ failed", b" failed"),
        ("^abc|def", b""),
        ("(?i)error", b""),
        ("a.bcd+", b"bc"),
        ("x\\.yz", b"x.yz"),
    ],
)
def test_what_an_expression_requires(expression: str, required: bytes) -> None:
    assert needle.required(re.compile(expression.encode())) == required


_TEXTS = st.lists(
    st.binary(max_size=40) | st.text("ab1_ -", max_size=40).map(str.encode), min_size=8, max_size=20
)


@settings(max_examples=20, deadline=None)
@given(blocks=_TEXTS, data=st.data())
def test_the_filter_never_hides_a_block(blocks: list[bytes], data: st.DataObject) -> None:
    block = data.draw(st.integers(0, len(blocks) - 1))
    begin = data.draw(st.integers(0, len(blocks[block])))
    literal = blocks[block][begin : data.draw(st.integers(begin, len(blocks[block])))]
    built = grams.SectionFilter()
    for text in blocks:
        built.add(text)
    rows, _, matrix = built.finish()
    width = grams.row_bytes(len(blocks))
    assert len(matrix) == rows * width
    for value in grams.looked_up(literal):
        row = matrix[(value & (rows - 1)) * width :][:width]
        assert int.from_bytes(row, "little") >> block & 1


def test_a_block_of_random_letters_is_always_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grams, "MOST_GRAMS", 10)
    built = grams.SectionFilter()
    for text in (b"short words", b"averyveryverylongword", *[b""] * 6):
        built.add(text)
    assert built.finish()[1] == 0b10


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("0001-01-01T00:00:00Z", b"1970-01-01T00:00:00.000000000Z"),
        ("0001-01-01T00:00:00+14:00", b"1970-01-01T00:00:00.000000000Z"),
        ("0999-12-31T00:00:00Z", b"1970-01-01T00:00:00.000000000Z"),
        ("2026-03-01T13:00:00.5+01:00", b"2026-03-01T12:00:00.500000000Z"),
        ("9999-12-31T23:59:59.999999-12:00", b"9999-12-31T23:59:59.999999000Z"),
    ],
)
def test_a_time_is_written_as_frames_have_it_or_as_the_nearest_they_can_have(
    at: str, expected: bytes
) -> None:
    assert frame_time(datetime.fromisoformat(at)) == expected
