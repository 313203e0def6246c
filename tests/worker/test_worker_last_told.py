"""What status.json says of an attempt whose runner died is taken only where it has a meaning."""

from __future__ import annotations

from pathlib import Path

import pytest

from silkmill.worker.facts import last_told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, (None, 0)),
        ('{"status":{},"progress":0.5,"errors":3,"bad_frames":0,"at":""}', (0.5, 3)),
        ('{"status":null,"progress":null,"errors":0}', (None, 0)),
        ('{"status":null,"errors":1}', (None, 1)),
        ('{"progress":7,"errors":-1}', (None, None)),
        ('{"progress":NaN,"errors":1e99}', (None, None)),
        ('{"progress":true,"errors":true}', (None, None)),
        ('{"progress":"0.5","errors":' + "9" * 5000 + "}", (None, None)),
        ("[1]", (None, None)),
        ("{", (None, None)),
        ('{"errors":1,"status":' + "[" * 50_000 + "]" * 50_000 + "}", (None, None)),
        ("\xff", (None, None)),
    ],
)
def test_what_a_dead_runner_had_recorded(
    tmp_path: Path, text: str | None, told: tuple[float | None, int | None]
) -> None:
    if text is not None:
        (tmp_path / "status.json").write_text(text, "latin-1")
    assert last_told(str(tmp_path)) == told


def test_a_folder_in_the_way_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "status.json").mkdir()
    assert last_told(str(tmp_path)) == (None, None)
