"""docs/outcomes.md: its table of what decides is what `classify` decides, and no word is left out."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from tests.helpers import START, make_task

from silkmill.domain.events import Accept, Assign, GiveBack, Start
from silkmill.domain.outcome import ErrorClass, Facts, Fatal, Rules, SpawnError, classify
from silkmill.domain.retry import RetryPolicy
from silkmill.domain.spider_toml import parse_spider_toml
from silkmill.domain.states import Phase, State
from silkmill.domain.task import advance
from silkmill.master.why import WaitsFor

PAGE = (Path(__file__).parents[3] / "docs" / "outcomes.md").read_text()
KEY_ERROR = "Traceback (most recent call last):\n  x\nKeyError: 'price'\n"
REFUSED = "Traceback (most recent call last):\n  x\nConnectionRefusedError: [Errno 111] Connection refused\n"


def facts(**given: object) -> Facts:
    return Facts(**({"ended_at": START, "started": True, "exit_code": 0} | given))  # type: ignore[arg-type]


EXAMPLES = {  # by the first cell of a row of "What decides"
    "its runner or its worker died": facts(lost=True),
    "files or environment could not be prepared": facts(
        preparation_error="requirements.txt: uv pip install failed: No solution found"
    ),
    "the command could not be started": facts(
        spawn_error=SpawnError(2, "missing", "command not found: 'pyhton' in PATH /bin")
    ),
    "a limit of time or items": facts(limit="runtime", signal=15),
    "a cancel came before its end": facts(cancelled=True, signal=15),
    "a signal killed it": facts(signal=9, exit_code=None),
    "its exit code is not in `outcome.ok_exit_codes`": facts(
        exit_code=1, traceback=KEY_ERROR, traceback_ends_stderr=True
    ),
    'it sent an ERROR with `"fatal": true`': facts(fatal=Fatal("refused", "the login was refused")),
    "fewer items than `outcome.min_items`": facts(),
    "too many ERROR messages beside items": facts(errors=9, items_count=1),
    "none of these": facts(items_count=1),
}
RULES = {
    "fewer items than `outcome.min_items`": Rules(min_items=5),
    "too many ERROR messages beside items": Rules(max_error_ratio=0.5),
}


def rows(heading: str) -> list[list[str]]:
    """The cells of the table whose head begins so."""
    table = PAGE.split(f"\n| {heading} |", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.splitlines()[2:]]


def first_words(heading: str) -> set[str]:
    return {word for row in rows(heading) for word in re.findall(r"`(\w+)`", row[0])}


def test_every_row_of_what_decides_is_so_and_none_is_missing() -> None:
    said = {row[0]: row[1:] for row in rows("what happened")}
    assert list(said) == list(EXAMPLES)
    for name, example in EXAMPLES.items():
        verdict = classify(example, RULES.get(name, Rules()))
        outcome, error_class, *_ = [*said[name], "", ""]
        assert f"`{verdict.outcome}`" == outcome, name
        assert (
            (f"`{verdict.error_class}`" in error_class)
            if verdict.error_class
            else not error_class.strip("| ")
        )


@pytest.mark.parametrize("name", [name for name, example in EXAMPLES.items() if not example.cancelled])
def test_the_reasons_are_those_of_the_product(name: str) -> None:
    [row] = [row for row in rows("what happened") if row[0] == name]
    verdict = classify(EXAMPLES[name], RULES.get(name, Rules()))
    shown = [text.rstrip("… ") for text in re.findall(r"`([^`]+)`", row[3])] if len(row) > 3 else []
    assert verdict.reason is None if not shown else str(verdict.reason).startswith(tuple(shown))


def test_the_kinds_of_network_errors_are_so() -> None:
    ended = facts(exit_code=1, traceback=REFUSED, traceback_ends_stderr=True)
    assert classify(ended, Rules()).error_class is ErrorClass.NETWORK
    assert classify(facts(fatal=Fatal("network", "x")), Rules()).error_class is ErrorClass.NETWORK


def test_an_attempt_that_is_given_back_is_named() -> None:
    task = make_task()
    for event in (Assign("n", "s", START), Accept(), Start(1, START), GiveBack("drained", START)):
        task = advance(task, event)
    assert f"`{task.history[-1].outcome}`" in PAGE


def test_every_state_phase_class_and_what_is_waited_for_has_its_row() -> None:
    assert first_words("state") == set(State)
    assert first_words("class") == set(ErrorClass)
    assert first_words("`waits_for`") == set(WaitsFor)
    assert all(f"`{phase}`" in PAGE for phase in Phase)


def test_the_examples_of_toml_are_read_and_the_defaults_are_so() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    configs = [
        parse_spider_toml(f'name = "x"\ncommand = "true"\n{block}', file="docs")["x"] for block in blocks
    ]
    assert [next(iter(tomllib.loads(block))) for block in blocks] == ["outcome", "retry"]
    assert configs[1].retry == RetryPolicy()
    retried = {row[0].strip("`") for row in rows("class") if row[2] == "yes"}
    assert retried == set(RetryPolicy().on)
