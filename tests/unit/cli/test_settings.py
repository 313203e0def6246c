"""Settings: flag over environment over file over default."""

from __future__ import annotations

from pathlib import Path

import pytest

from silkmill.domain.errors import BadInput
from silkmill.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"SILKMILL_{name.upper()}", raising=False)


def test_the_nearest_source_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings(tmp_path).drain_timeout == 600
    (tmp_path / "silkmill.toml").write_text("max_runners = 2\ndrain_timeout = 5.5\n")
    assert load_settings(tmp_path).max_runners == 2
    monkeypatch.setenv("SILKMILL_MAX_RUNNERS", "3")
    assert load_settings(tmp_path).max_runners == 3
    assert load_settings(tmp_path, max_runners=4, listen=None).max_runners == 4
    assert load_settings(tmp_path, max_runners=4).drain_timeout == 5.5


def test_other_variables_of_ours_are_no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILKMILL_TOKEN", "secret")
    monkeypatch.setenv("SILKMILL_DATA", "/elsewhere")
    settings = load_settings(tmp_path)
    assert settings.data == tmp_path
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    ("listen", "host", "port"),
    [("127.0.0.1:0", "127.0.0.1", 0), ("[::1]:80", "::1", 80), ("localhost:1", "localhost", 1)],
)
def test_an_address_has_two_parts(tmp_path: Path, listen: str, host: str, port: int) -> None:
    settings = load_settings(tmp_path, listen=listen)
    assert (settings.host, settings.port) == (host, port)


def test_an_error_names_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match="--max-runners"):
        load_settings(tmp_path, max_runners=0)
    monkeypatch.setenv("SILKMILL_SPOOL", "many")
    with pytest.raises(BadInput, match="SILKMILL_SPOOL"):
        load_settings(tmp_path)
    monkeypatch.delenv("SILKMILL_SPOOL")
    (tmp_path / "silkmill.toml").write_text('spool = "many"\n')
    with pytest.raises(BadInput, match=r"silkmill\.toml"):
        load_settings(tmp_path)


def test_a_directory_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match=r"data directory .*file: Not a directory"):
        load_settings(tmp_path / "file")
