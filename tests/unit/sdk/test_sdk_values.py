"""What values become JSON, and how."""

import collections
import dataclasses
import datetime
import decimal
import enum
import json
import pathlib
import uuid

import attrs
import pytest
import scrapy
from hypothesis import given, settings
from hypothesis import strategies as st

from silkmill.sdk.values import encode_object


@dataclasses.dataclass
class Product:
    name: str
    prices: tuple


@attrs.define
class Page:
    url: str


class Book(scrapy.Item):
    title = scrapy.Field()


class Colour(enum.Enum):
    RED = "red"


class Text(str):
    def __str__(self):
        return "something else"


Point = collections.namedtuple("Point", "x y")


@pytest.mark.parametrize(
    "value, expected",
    [
        (datetime.datetime(2026, 1, 2, 3, 4, 5, 6), "2026-01-02T03:04:05.000006"),
        (datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), "2026-01-02T00:00:00+00:00"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (decimal.Decimal("1.50"), "1.50"),
        (b"caf\xc3\xa9 \xff", "café \ufffd"),
        (float("nan"), None),
        (float("-inf"), None),
        ({1}, [1]),
        (frozenset([2]), [2]),
        ((1, (2,)), [1, [2]]),
        ({1: "a", 2.5: "b", None: "c", False: "d"}, {"1": "a", "2.5": "b", "null": "c", "false": "d"}),
        ({datetime.date(2026, 1, 2): 1}, {"2026-01-02": 1}),
        (Product("x", (1, float("nan"))), {"name": "x", "prices": [1, None]}),
        (Page("u"), {"url": "u"}),
        (Point(1, 2), {"x": 1, "y": 2}),
        (Colour.RED, "red"),
        (Text("itself"), "itself"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (pathlib.PurePosixPath("/a"), "/a"),
        ("\ud800 \ud83d\ude00", "\ufffd 😀"),
        ("\u2028\x00\n", "\u2028\x00\n"),
    ],
)
def test_a_value_inside_an_item(value, expected):
    assert json.loads(encode_object({"value": [value]})) == {"value": [expected]}


@pytest.mark.parametrize("item", [Product("x", ()), Page("x"), Book(title="x"), Point(1, 2), {}])
def test_items_of_many_kinds_are_objects(item):
    assert encode_object(item).startswith(b"{")


def test_all_digits_of_integers_stay():
    assert encode_object({"a": 1234567890123456789}) == b'{"a":1234567890123456789}'
    assert encode_object({"a": 10**6000}) == b'{"a":1' + b"0" * 6000 + b"}"


@pytest.mark.parametrize("item", ["text", 5, None, [1], [("a", 1)], Product, object()])
def test_what_is_no_object_is_refused(item):
    with pytest.raises(TypeError, match="an item must be a mapping"):
        encode_object(item)


def test_what_json_cannot_hold_is_refused():
    with pytest.raises(TypeError, match="object cannot be saved"):
        encode_object({"a": object()})
    with pytest.raises(ValueError, match="same text"):
        encode_object({"a": {1: "x", "1": "y"}})
    with pytest.raises(ValueError, match="same text"):
        encode_object({1: "x", "1": "y"})
    endless: dict = {}
    endless["self"] = endless
    with pytest.raises(ValueError, match="contain itself"):
        encode_object(endless)


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(), _values))
def test_plain_values_come_back_as_they_were(item):
    assert json.loads(encode_object(item)) == item
