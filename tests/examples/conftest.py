"""A data directory that belongs to one test."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.examples.cli import Silkmill


@pytest.fixture
def silkmill(tmp_path: Path) -> Silkmill:
    return Silkmill(tmp_path / "data")
