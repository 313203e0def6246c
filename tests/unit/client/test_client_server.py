"""Finding the server: the environment first, then a data directory whose process lives."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from silkmill.client import Client, NoServer, Server, data_directory, find_server
from silkmill.runtime.datadir import process_start_time

URL = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SILKMILL_URL", "SILKMILL_TOKEN", "SILKMILL_DATA"):
        monkeypatch.delenv(name, raising=False)


def announce(data: Path, **changes: object) -> None:
    facts = {"url": URL, "pid": os.getpid(), "start_time": process_start_time(os.getpid())}
    (data / "server.json").write_text(json.dumps(facts | changes))
    (data / "token").write_text("secret\n")


def test_the_data_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_directory() == tmp_path / ".silkmill"
    monkeypatch.setenv("SILKMILL_DATA", str(tmp_path / "one"))
    assert data_directory() == tmp_path / "one"
    assert data_directory("relative") == Path.cwd() / "relative"


def test_the_announced_server(tmp_path: Path) -> None:
    announce(tmp_path)
    server = find_server(tmp_path)
    assert server is not None
    assert (server.url, server.token, server.pid) == (URL, "secret", os.getpid())
    assert "secret" not in repr(server)


@pytest.mark.parametrize(
    "changes", [{"start_time": 1}, {"pid": 2**22 + 1}, {"pid": "x"}, {"url": None, "pid": None}]
)
def test_a_stale_announcement_is_no_server(tmp_path: Path, changes: dict[str, object]) -> None:
    announce(tmp_path, **changes)
    assert find_server(tmp_path) is None


@pytest.mark.parametrize("text", ["", "[]", "{", "5", "{}"])
def test_a_torn_announcement_is_no_server(tmp_path: Path, text: str) -> None:
    (tmp_path / "server.json").write_text(text)
    assert find_server(tmp_path) is None


def test_the_environment_counts_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    announce(tmp_path)
    monkeypatch.setenv("SILKMILL_URL", "http://elsewhere:2/")
    assert find_server(tmp_path) == Server("http://elsewhere:2", "secret")
    monkeypatch.setenv("SILKMILL_TOKEN", "given")
    assert find_server(tmp_path) == Server("http://elsewhere:2", "given")


def test_an_address_without_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILKMILL_URL", URL)
    with pytest.raises(NoServer, match="SILKMILL_TOKEN"):
        find_server(tmp_path)


def test_a_token_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILKMILL_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("SILKMILL_TOKEN", "secret\n")
    assert find_server(tmp_path) == Server("http://127.0.0.1:1", "secret")
    monkeypatch.setenv("SILKMILL_TOKEN", "two\nlines")
    with pytest.raises(NoServer, match="control characters"):
        find_server(tmp_path)


def test_a_client_says_what_to_do_without_a_server(tmp_path: Path) -> None:
    with pytest.raises(NoServer, match="start silkmill up"):
        Client.find(tmp_path)


@pytest.mark.parametrize("url", [URL, "http://nowhere.invalid:80", "http://127.0.0.1:x", "nonsense"])
def test_nobody_answers(url: str) -> None:
    with pytest.raises(NoServer, match="no server answers"), Client(Server(url, "t")) as client:
        client.nodes()
