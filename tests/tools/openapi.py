"""Writes docs/openapi.json from the routes: `python -m tests.tools.openapi`."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

from silkmill.adapters.http import Parts, create_app
from silkmill.adapters.http.openapi import text_of

PAGE = Path(__file__).parents[2] / "docs" / "openapi.json"


def page() -> str:
    return text_of(create_app(Mock(spec=Parts), "")).decode() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
