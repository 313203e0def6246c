"""Bad input to every command: the exit code of the contract, a reason with a remedy, nothing half-done."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.engine.server import Server, spider_folder

BAD_INPUT, NOT_FOUND, REFUSED = 2, 4, 5
DOCS = Path(__file__).parents[2] / "docs" / "cli.md"
COMMANDS = re.findall(r"^### silkmill (\S+)$", DOCS.read_text(), re.MULTILINE)
"""Every one: a test of the command line keeps page and program equal."""
NOBODY = "0123456789ab"


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


def silkmill(data: Path, *arguments: str, **env: str) -> Said:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SILKMILL_")}
    done = subprocess.run(
        [sys.executable, "-m", "silkmill", *arguments],
        env=clean | {"SILKMILL_DATA": str(data)} | env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def check(said: Said, code: int, *names: str) -> None:
    """`names`: what the reason must name."""
    assert said.code == code, said
    assert said.out == "", said
    assert "Traceback" not in said.err, said.err
    assert "rror: " in said.err or "rror " in said.err, said.err
    for name in names:
        assert name in said.err, said.err


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("bad-commands")
    with Server(folder / "data", max_runners=1) as server:
        server.deploy(spider_folder(folder, "hello", "print('hello')\n", '[params.n]\ntype = "int"\n'))
        server.wait(server.submit("hello"), "finished")
        yield server


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_option(tmp_path: Path, command: str) -> None:
    check(silkmill(tmp_path / "data", command, "--no-such-option"), BAD_INPUT, "--no-such-option", command)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in ("up", "stop", "ps")])
def test_a_missing_argument_or_command(tmp_path: Path, command: str) -> None:
    check(silkmill(tmp_path / "data", command), BAD_INPUT, "issing ")


def test_an_unknown_command_names_the_nearest(tmp_path: Path) -> None:
    check(silkmill(tmp_path, "logz"), BAD_INPUT, "logz", "logs")


@pytest.mark.parametrize(
    ("arguments", "code", "names"),
    [
        (("show", NOBODY), NOT_FOUND, (NOBODY,)),
        (("why", NOBODY), NOT_FOUND, (NOBODY,)),
        (("wait", NOBODY), NOT_FOUND, (NOBODY,)),
        (("cancel", NOBODY), NOT_FOUND, (NOBODY,)),
        (("cancel", "--force", "last", NOBODY), NOT_FOUND, (NOBODY,)),
        (("retry", "last", NOBODY), NOT_FOUND, (NOBODY,)),
        (("logs", NOBODY), NOT_FOUND, (NOBODY,)),
        (("logs", "-f", NOBODY), NOT_FOUND, (NOBODY,)),
        (("items", NOBODY), NOT_FOUND, (NOBODY,)),
        (("why", "ab"), BAD_INPUT, ("ab", "6 or more")),
        (("logs", "last", "--grep", "("), BAD_INPUT, ("expression", "backslash")),
        (("logs", "last", "-n", "-1"), BAD_INPUT, ("-n",)),
        (("logs", "last", "--stream", "odd"), BAD_INPUT, ("odd", "stdout")),
        (("logs", "last", "--attempt", "7"), NOT_FOUND, ("attempt", "1")),
        (("items", "last", "--format", "xml"), BAD_INPUT, ("xml", "jsonl")),
        (("ps", "--state", "done"), BAD_INPUT, ("done", "finished")),
        (("ps", "--since", "soon"), BAD_INPUT, ("soon", "90s")),
        (("run", "no-such-spider"), NOT_FOUND, ("no-such-spider", "deploy")),
        (("run", "hello@v0"), NOT_FOUND, ("v0",)),
        (("run", "hello", "-a", "odd=1"), BAD_INPUT, ("odd", "declare")),
        (("run", "hello", "-a", "n=many"), BAD_INPUT, ("n", "int")),
        (("run", "hello", "-a", "n"), BAD_INPUT, ("n", "=")),
        (("run", "hello", "-p", "0"), BAD_INPUT, ("0", "1<=x<=10")),
        (("run", "hello", "-e", "A"), BAD_INPUT, ("A", "=")),
        (("run", "hello", "-e", "SILKMILL_TASK_ID=x"), BAD_INPUT, ("SILKMILL_TASK_ID",)),
        (("run", "./nowhere"), BAD_INPUT, ("nowhere",)),
        (("deploy", "./nowhere"), BAD_INPUT, ("nowhere",)),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else str(value),
)
def test_with_a_server(up: Server, arguments: tuple[str, ...], code: int, names: tuple[str, ...]) -> None:
    before = up.call("GET", "/tasks?limit=200")["tasks"]
    check(silkmill(up.data, *arguments), code, *names)
    after = up.call("GET", "/tasks?limit=200")["tasks"]
    assert [task["id"] for task in after] == [task["id"] for task in before]


BAD_TOMLS = {
    'command = "true"\n': "name",
    'name = "x"\n': "command",
    'name = "X Y"\ncommand = "true"\n': "name",
    'name = "x"\ncommand = ""\n': "command",
    'name = "x"\ncommand = "echo \'"\n': "command",
    'name = "x"\ncommand = "true"\ncomand = "y"\n': "command",
    'name = "x"\ncommand = "true"\npriority = 11\n': "priority",
    'name = "x"\ncommand = "true"\npriority = "high"\n': "priority",
    'name = "x"\ncommand = "true"\nipc = "loose"\n': "ipc",
    'name = "x"\ncommand = "true"\n[limits]\nruntime = "soon"\n': "runtime",
    'name = "x"\ncommand = "true"\n[limits]\nlog = "much"\n': "log",
    'name = "x"\ncommand = "true"\n[limits]\nruntme = "1s"\n': "runtime",
    'name = "x"\ncommand = "true"\n[retry]\nmax_attempts = 0\n': "max_attempts",
    'name = "x"\ncommand = "true"\n[retry]\non = ["weather"]\n': "weather",
    'name = "x"\ncommand = "true"\n[outcome]\nok_exit_codes = [300]\n': "ok_exit_codes",
    'name = "x"\ncommand = "true"\n[params.day]\ntype = "date"\n': "type",
    'name = "x"\ncommand = "true"\n[env]\nSILKMILL_X = "1"\n': "SILKMILL_X",
    'name = "x"\ncommand = "true"\nname = "y"\n': "spider.toml",
    "name =": "spider.toml",
    f"x = {'[' * 3000}{']' * 3000}": "spider.toml",
    'name = "x"\ncommand = "true"\n[files]\ninclude = 5\n': "include",
    'name = "x"\ncommand = "true"\n[files]\nignore = true\n': "ignore",
    'name = "x"\ncommand = "true"\n[files]\nignore = ["[z-a]"]\n': "files.ignore",
}


@pytest.mark.parametrize("toml", BAD_TOMLS, ids=lambda toml: toml.replace("\n", " ")[:60])
def test_a_bad_spider_toml(up: Server, tmp_path: Path, toml: str) -> None:
    """It names the file and what is wrong in it; neither version nor task is made."""
    before = up.call("GET", "/spiders")
    (tmp_path / "spider.toml").write_text(toml)
    for command in ("deploy", "run"):
        check(silkmill(up.data, command, str(tmp_path)), BAD_INPUT, "spider.toml", BAD_TOMLS[toml])
    assert up.call("GET", "/spiders") == before


@pytest.mark.parametrize(
    "arguments",
    [("cancel", "last"), ("retry", "last"), ("wait", "last"), ("run", "hello", "--detach"), ("deploy", ".")],
    ids=lambda arguments: arguments[0],
)
def test_without_a_server(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    check(silkmill(tmp_path / "data", *arguments), REFUSED, "silkmill up")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("command", ["show", "logs", "items", "why"])
def test_nothing_to_read(tmp_path: Path, command: str) -> None:
    data = tmp_path / "data"
    check(silkmill(data, command, "last"), NOT_FOUND, str(data), "silkmill up")
    assert silkmill(data, "ps").code == 0, "a list may be empty"
    assert not data.exists()


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("--listen", "6810"), ("HOST:PORT",)),
        (("--listen", "127.0.0.1:99999"), ("HOST:PORT",)),
        (("--listen", "0.0.0.0:0"), ("0.0.0.0", "127.0.0.1")),
        (("--max-runners", "0"), ("max_runners",)),
        (("--max-runners", "many"), ("many",)),
    ],
    ids=lambda value: " ".join(value),
)
def test_up_with_bad_settings(tmp_path: Path, arguments: tuple[str, ...], names: tuple[str, ...]) -> None:
    check(silkmill(tmp_path / "data", "up", *arguments), BAD_INPUT, *names)


def test_up_on_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        check(silkmill(tmp_path / "data", "up", "--listen", address), BAD_INPUT, address, "--listen")


def a_file(path: Path) -> None:
    path.write_text("not a directory")


def a_database_of_others(path: Path) -> None:
    path.mkdir()
    (path / "silkmill.db").write_bytes(b"this is no SQLite database" * 100)


@pytest.mark.parametrize("make", [a_file, a_database_of_others])
def test_up_on_what_is_no_data_directory(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "data")
    said = silkmill(tmp_path / "data", "up", "--listen", "127.0.0.1:0")
    assert said.code in (BAD_INPUT, REFUSED), said
    check(said, said.code, str(tmp_path / "data"))


def test_a_server_that_is_not_there_and_a_wrong_token(up: Server, tmp_path: Path) -> None:
    url, nowhere = up.facts()["url"], "http://127.0.0.1:9"
    check(silkmill(tmp_path, "ps", SILKMILL_URL=nowhere, SILKMILL_TOKEN="x"), REFUSED, nowhere)
    check(silkmill(tmp_path, "ps", SILKMILL_URL=url, SILKMILL_TOKEN="wrong"), REFUSED, "token")
    check(silkmill(tmp_path, "ps", SILKMILL_URL=url), REFUSED, "SILKMILL_TOKEN")
    check(silkmill(tmp_path, "ps", SILKMILL_URL="nowhere", SILKMILL_TOKEN="x"), REFUSED, "nowhere")
