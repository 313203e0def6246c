"""The data directory: its token is never empty, and stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from silkmill.runtime.datadir import DataDirectory


@pytest.mark.parametrize("before", [None, "", " \n"])
def test_a_token_is_made_where_there_is_none(tmp_path: Path, before: str | None) -> None:
    directory = DataDirectory(tmp_path)
    if before is not None:
        directory.token_file.write_text(before)
    token, is_new = directory.token()
    assert is_new and len(token) > 40
    assert directory.token() == (token, False)
    assert directory.token_file.stat().st_mode & 0o777 == 0o600
