"""Parameters, commands, names, ids and version ids."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from silkmill.domain.errors import BadInput
from silkmill.domain.ids import order_of, task_id_in_group, uuid7
from silkmill.domain.spider import (
    Param,
    SpiderConfig,
    check_name,
    render_command,
    resolve_params,
    split_command,
)
from silkmill.domain.version import FileEntry, version_id
from support.task_values import NOW


def config(*command: str, **params: Param) -> SpiderConfig:
    return SpiderConfig("news", command=command, params=params)


def test_a_placeholder_stays_inside_its_argument() -> None:
    rendered = render_command(config("main.py", "--day={day}", "{day}"), {"day": "a b; rm -rf $HOME 'x'"})
    assert rendered == ("main.py", "--day=a b; rm -rf $HOME 'x'", "a b; rm -rf $HOME 'x'")


def test_doubled_braces_are_literal() -> None:
    command = config("{{a}", "{{{x}}", '{"a":{"b":1}}', "}}")
    assert render_command(command, {"x": 1}) == ("{a}", "{1}", '{"a":{"b":1}}', "}}")


def test_text_that_is_not_a_placeholder_is_left_alone() -> None:
    assert render_command(config('{"a": 1}', "{", "{}", "{1}"), {}) == ('{"a": 1}', "{", "{}", "{1}")


def test_a_value_with_braces_is_not_rendered_again() -> None:
    assert render_command(config("{x}"), {"x": "{y}", "y": "no"}) == ("{y}",)


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (3, "3"), (0.5, "0.5"), ("é\n", "é\n"), (10**30, "1" + "0" * 30)]
)
def test_values_become_text_as_in_json(value: Any, text: str) -> None:
    assert render_command(config("{x}"), {"x": value}) == (text,)


def test_a_placeholder_without_a_value_is_refused() -> None:
    with pytest.raises(BadInput, match="day") as refusal:
        render_command(config("{day}"), {})
    assert refusal.value.field == "params.day"
    assert refusal.value.remedy


def test_a_nul_byte_is_refused_before_it_is_a_task() -> None:
    with pytest.raises(BadInput, match="NUL") as refusal:
        render_command(config("--x={day}"), {"day": "a\0b"})
    assert refusal.value.field == "params.day"
    assert refusal.value.remedy


def test_a_command_is_split_like_a_shell_would_without_one() -> None:
    assert split_command("python 'my main.py' --x=\"a b\" $HOME") == (
        "python",
        "my main.py",
        "--x=a b",
        "$HOME",
    )
    assert split_command(["a b", ""]) == ("a b", "")
    with pytest.raises(BadInput, match="quotation"):
        split_command("python 'main.py")


def test_defaults_and_given_values() -> None:
    spider = config(day=Param(default="today"), pages=Param("int", default=3), proxy=Param())
    assert resolve_params(spider, {}) == {"day": "today", "pages": 3}
    assert resolve_params(spider, {"pages": "7", "proxy": "p"}) == {"day": "today", "pages": 7, "proxy": "p"}


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        ("int", "12", 12),
        ("int", 12, 12),
        ("float", "1.5", 1.5),
        ("float", 2, 2.0),
        ("bool", "yes", True),
        ("bool", "FALSE", False),
        ("bool", True, True),
        ("str", 5, "5"),
    ],
)
def test_given_values_are_converted(kind: str, given: Any, value: Any) -> None:
    resolved = resolve_params(config(x=Param(kind)), {"x": given})["x"]
    assert resolved == value
    assert type(resolved) is type(value)


@pytest.mark.parametrize(
    ("param", "given"),
    [
        (Param("int"), {"x": "1.5"}),
        (Param("int"), {"x": 1.5}),
        (Param("int"), {"x": True}),
        (Param("float"), {"x": "nan"}),
        (Param("float"), {"x": "much"}),
        (Param("float"), {"x": 10**400}),
        (Param("bool"), {"x": "perhaps"}),
        (Param("str"), {"x": ["a"]}),
        (Param("str"), {"x": {"a": 1}}),
        (Param(choices=("a", "b")), {"x": "c"}),
        (Param(required=True), {}),
        (Param(), {"y": 1}),
    ],
)
def test_what_does_not_fit_is_refused_by_name(param: Param, given: dict[str, Any]) -> None:
    with pytest.raises(BadInput) as refusal:
        resolve_params(config(x=param), given)
    assert refusal.value.field in ("params.x", "params.y")
    assert refusal.value.remedy


@pytest.mark.parametrize("name", ["news", "a", "a.b_c-9", "x" * 64])
def test_good_names(name: str) -> None:
    assert check_name(name, "name") == name


@pytest.mark.parametrize("name", ["", "News", "a/b", "a b", "x" * 65, "é", "a\n", "..", "."])
def test_bad_names(name: str) -> None:
    with pytest.raises(BadInput, match="name"):
        check_name(name, "name")


@given(
    st.datetimes(min_value=NOW.replace(tzinfo=None), timezones=st.just(NOW.tzinfo)), st.binary(min_size=10)
)
def test_ids_are_version_7_and_ordered_by_time(at: Any, bits: bytes) -> None:
    text = uuid7(at, bits)
    parsed = uuid.UUID(text)
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == int(at.timestamp() * 1000)
    assert uuid7(at - timedelta(milliseconds=2), b"\xff" * 10) < text


def test_ids_of_a_group_are_the_same_for_every_repeat_and_differ_by_line() -> None:
    ids = [task_id_in_group(NOW, "key", index) for index in range(10_000)]
    assert len(set(ids)) == 10_000
    assert ids[77] == task_id_in_group(NOW, "key", 77)
    assert ids[77] != task_id_in_group(NOW, "other", 77)
    assert len({text[-6:] for text in ids[:100]}) == 100


def test_order_is_by_millisecond_then_by_line() -> None:
    orders = [
        order_of(NOW),
        order_of(NOW, 1),
        order_of(NOW, 99_999),
        order_of(NOW + timedelta(milliseconds=1)),
    ]
    assert orders == sorted(set(orders))


def test_equal_files_are_an_equal_version() -> None:
    one, other = FileEntry("a", "0" * 64, 1), FileEntry("b", "1" * 64, 2)
    assert version_id("p", (one, other)) == version_id("p", (other, one))
    assert len({version_id("p", (one,)), version_id("q", (one,)), version_id("p", (other,))}) == 3
    assert version_id("p", (one,)) != version_id("p", (FileEntry("a", "0" * 64, 1, 0o755),))
