"""Settings: flag over environment over file over default."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from silkmill.domain.errors import BadInput
from silkmill.domain.retention import Policy
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


def test_times_and_sizes_have_units_wherever_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "silkmill.toml").write_text(
        'drain_timeout = "10m"\nspool = "512MiB"\ncache = "2GiB"\nenvironments_age = "7d"\n'
    )
    monkeypatch.setenv("SILKMILL_ENVIRONMENTS", "1GiB")
    settings = load_settings(tmp_path)
    assert (settings.drain_timeout, settings.environments_age) == (600, 7 * 86400)
    assert (settings.spool, settings.cache, settings.environments) == (512 << 20, 2 << 30, 1 << 30)


@pytest.mark.parametrize("text", ["10 apples", "MiB", "1MiB"])
def test_a_size_that_is_none_or_too_small_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "silkmill.toml").write_text(f'spool = "{text}"\n')
    with pytest.raises(BadInput, match="spool") as refused:
        load_settings(tmp_path)
    assert text in str(refused.value) or "greater" in str(refused.value)


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


def test_ages_and_sizes_are_written_as_people_write_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_settings(tmp_path).policy == Policy()
    (tmp_path / "silkmill.toml").write_text('keep_tasks_for = "90d"\nkeep_logs = "20GiB"\nkeep_tasks = 7\n')
    monkeypatch.setenv("SILKMILL_KEEP_LOGS_FOR", "3600")
    monkeypatch.setenv("SILKMILL_KEEP_ITEMS_FOR", "1.5h")
    assert load_settings(tmp_path).policy == Policy(
        tasks_for=timedelta(days=90),
        tasks=7,
        logs_for=timedelta(hours=1),
        log_bytes=20 << 30,
        items_for=timedelta(minutes=90),
    )


@pytest.mark.parametrize("value", ['"ninety days"', "-1", '"90 parsecs"', '"1e9d"', "1e12", '""'])
def test_a_bad_age_names_its_setting(tmp_path: Path, value: str) -> None:
    (tmp_path / "silkmill.toml").write_text(f"keep_tasks_for = {value}\n")
    with pytest.raises(BadInput, match="keep_tasks_for"):
        load_settings(tmp_path)
