"""docs/states.md says what the table says."""

from __future__ import annotations

from tools.states import PAGE, page


def test_the_page_is_what_the_table_generates() -> None:
    assert PAGE.read_text() == page(), "run `python -m tests.tools.states`"
