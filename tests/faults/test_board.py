"""The short profile of every row."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.faults.board import Profile, Result, Row, all_rows
from tests.faults.machine import missing_for


@pytest.mark.slow
@pytest.mark.parametrize("row", all_rows(), ids=lambda row: row.id)
def test_row(row: Row, tmp_path: Path) -> None:
    if missing := missing_for(row.needs):
        message = f"{row.id} needs {missing}, which this machine lacks"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    result = Result()
    row.run(tmp_path, Profile("short", seed=int(os.environ.get("SILKMILL_TEST_SEED", "1"))), result)
    assert result.runs > 0
