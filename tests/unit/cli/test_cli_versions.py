"""Deploying, comparing and choosing versions from the command line, against a running server."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Cli


@pytest.fixture(scope="module")
def two(up: Cli, folder: Path) -> tuple[str, str]:
    """The older and the newer version of the spider `hello`."""
    old = up("deploy", str(folder), "--json").json["id"]
    (folder / "data.txt").write_text("new\n")
    (folder / "main.py").chmod(0o755)
    with (folder / "spider.toml").open("a") as file:
        file.write('runtime = "1h"\n')
    return old, up("deploy", str(folder), "--json").json["id"]


@pytest.fixture(scope="module")
def pair(up: Cli, module_path: Path) -> Path:
    """A folder of two spiders."""
    folder = module_path / "pair"
    folder.mkdir()
    (folder / "spider.toml").write_text(
        'command = "echo {word}"\nparams.word = "left"\n'
        '[spiders.left]\n[spiders.right.params]\nword = "right"\n'
    )
    return folder


def test_versions_newest_first(up: Cli, two: tuple[str, str]) -> None:
    old, new = two
    lines = [json.loads(line) for line in up("versions", "hello", "--json").out.splitlines()]
    assert [(line["id"], line["current"], line["files"]) for line in lines] == [
        (new, True, 3),
        (old, False, 2),
    ]
    head, first, second = up("versions", "default/hello").out.decode().splitlines()
    assert head.split() == ["VERSION", "CURRENT", "FILES", "BYTES", "CREATED"]
    assert first.startswith(f"{new}  current")
    assert second.startswith(f"{old}  ")
    assert "current" not in second


def test_a_diff_names_files_and_settings(up: Cli, two: tuple[str, str]) -> None:
    old, new = two
    assert up("versions", "diff", old, new).out.decode().splitlines() == [
        "+ data.txt",
        "~ main.py (mode 0644 → 0755)",
        "~ spider.toml",
        "~ spider hello: limits.runtime_seconds 0.0 → 3600.0",
    ]
    assert up("versions", "diff", new, old).out.decode().splitlines()[0] == "- data.txt"
    diff = up("versions", "diff", old, new, "--json").json
    assert [file["path"] for file in diff["added"]] == ["data.txt"]


def test_rollback_and_a_version_for_once(up: Cli, two: tuple[str, str]) -> None:
    old, new = two
    result = up("rollback", "hello", old)
    assert (result.code, result.out.decode()) == (0, f"{old}\n")
    assert f"{new} → {old}" in result.err
    assert up("run", "hello", "-a", "count=0", "--json").json["version"] == old
    assert up("run", f"hello@{new}", "-a", "count=0", "--json").json["version"] == new
    assert up("rollback", "hello", new, "--json").json["version"] == new


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["versions", "none"], 4),
        (["versions", "No!"], 2),
        (["versions", "hello@v1"], 2),
        (["versions", "hello", "other"], 2),
        (["versions"], 2),
        (["versions", "diff", "v0"], 2),
        (["versions", "diff", "v0", "v1"], 4),
        (["versions", "default/diff"], 4),
        (["rollback", "hello", "v0"], 4),
        (["rollback", "none", "v0"], 4),
        (["run", "hello@v0"], 4),
    ],
)
def test_what_is_not_there(up: Cli, two: tuple[str, str], words: list[str], code: int) -> None:
    result = up(*words)
    assert (result.code, result.out) == (code, b""), result


def test_a_version_of_another_spider_says_where_to_look(up: Cli, two: tuple[str, str], pair: Path) -> None:
    other = up("deploy", str(pair)).out.decode().strip()
    for words in (["rollback", "hello", other], ["run", f"hello@{other}"]):
        result = up(*words)
        assert result.code == 4
        assert "`silkmill versions default/hello` lists" in result.err


def test_of_several_spiders_one_must_be_named(up: Cli, pair: Path) -> None:
    result = up("run", str(pair))
    assert result.code == 2
    version = up("deploy", str(pair)).out.decode().strip()
    assert f"holds 2 spiders, and is deployed now as {version}" in result.err
    assert "with `silkmill run NAME`: left, right" in result.err
    assert up("run", "right").out == b"right\n"
    assert up("run", "left", "-a", "word=x").out == b"x\n"


def test_without_a_server_too(alone: Cli, pair: Path) -> None:
    named = alone("run", str(pair))
    assert named.code == 2
    assert "with `silkmill run NAME`: left, right" in named.err
    assert alone("run", "left").out == b"left\n"
    assert [json.loads(alone("versions", name, "--json").out)["current"] for name in ("left", "right")] == [
        True
    ] * 2
    assert alone("rollback", "left", "v0").code == 5


@pytest.mark.parametrize(("suffix", "format"), [("zip", "zip"), ("tar.gz", "gztar"), ("whl", "zip")])
def test_an_archive_is_its_folder(up: Cli, folder: Path, tmp_path: Path, suffix: str, format: str) -> None:
    shutil.copytree(folder, tmp_path / "top" / "hello-1.0")
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), format, tmp_path / "top"))
    archive = packed.rename(tmp_path / f"hello.{suffix}")
    assert up("deploy", str(archive)).out == up("deploy", str(folder)).out


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("x.zip", b"hello", "x.zip is not deployed: it is damaged"),
        ("x.tgz", b"hello", "x.tgz is not deployed: it is damaged"),
        ("x.rar", b"hello", "neither a folder nor an archive (.zip, .whl, .egg, .tar.gz, .tgz)"),
        ("none", None, "neither a folder nor an archive"),
    ],
)
def test_what_is_no_archive(up: Cli, tmp_path: Path, name: str, data: bytes | None, said: str) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    result = up("deploy", str(tmp_path / name))
    assert (result.code, result.out) == (2, b"")
    assert said in result.err
