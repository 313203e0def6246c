"""A folder as a manifest: what is in it, what is ignored, and that only what is missing is sent."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from silkmill.client.folder import BadFolder, deploy_folder, manifest
from silkmill.domain.errors import BadInput
from silkmill.domain.spider_toml import parse_spider_toml


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "spider.toml", 'name = "x"\ncommand = "true"\n')
    return tmp_path


def write(folder: Path, path: str, text: str = "x") -> Path:
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def paths(folder: Path) -> list[str]:
    return [file.path for file in manifest(folder) if file.path not in ("spider.toml", ".gitignore")]


def test_a_file_has_its_hash_size_and_mode(folder: Path) -> None:
    write(folder, "deep/run.sh", "echo\n").chmod(0o755)
    (file, _) = manifest(folder)
    digest = hashlib.sha256(b"echo\n").hexdigest()
    assert file.entry == {"path": "deep/run.sh", "sha256": digest, "size": 5, "mode": 0o755}


def test_what_no_spider_needs_is_left_out(folder: Path) -> None:
    for path in (".git/HEAD", "a/__pycache__/b.pyc", "c.pyc", ".venv/bin/python", ".hg/x", "kept.py"):
        write(folder, path)
    for name in ("silkmill.db", "bucket/x"):
        write(folder, f"data/{name}")
    assert paths(folder) == ["kept.py"]


@pytest.mark.parametrize(
    ("rules", "files", "kept"),
    [
        ("*.log", ["a.log", "d/b.log", "c.py"], ["c.py"]),
        ("/top", ["top", "d/top"], ["d/top"]),
        ("out/", ["out/a", "d/out/b", "d/c"], ["d/c"]),
        ("*.csv\n!keep.csv", ["a.csv", "keep.csv"], ["keep.csv"]),
        ("out/\n!out/keep", ["out/keep", "b"], ["b"]),
        ("# comment\n\n\\#odd", ["#odd", "b"], ["b"]),
        ("d/**/x", ["d/x", "d/e/f/x", "e/x"], ["e/x"]),
    ],
)
def test_gitignore(folder: Path, rules: str, files: list[str], kept: list[str]) -> None:
    write(folder, ".gitignore", rules)
    for path in files:
        write(folder, path)
    assert paths(folder) == kept


NO_PATTERNS = ["!", "\\", "a\\", "[z-a]"]


@pytest.mark.parametrize("line", NO_PATTERNS)
@pytest.mark.parametrize("name", [".gitignore", "d/.silkmillignore"])
def test_a_line_that_is_no_pattern_is_passed_over(folder: Path, name: str, line: str) -> None:
    """As git does."""
    write(folder, name, f"{line}\n*.csv\n")
    for path in ("d/a.csv", "d/a.py"):
        write(folder, path)
    assert [path for path in paths(folder) if "ignore" not in path] == ["d/a.py"]


@pytest.mark.parametrize("line", NO_PATTERNS)
@pytest.mark.parametrize("key", ["include", "ignore"])
def test_one_of_spider_toml_is_refused(folder: Path, key: str, line: str) -> None:
    write(folder, "spider.toml", f"name = 'x'\ncommand = 'true'\n[files]\n{key} = ['*', '{line}']\n")
    with pytest.raises(BadFolder) as refused:
        manifest(folder)
    assert all(
        part in str(refused.value) for part in (str(folder / "spider.toml"), f"files.{key}", repr(line))
    )
    assert refused.value.exit_code == 2


NO_RULES = [
    "files = 5",
    "[files]\ninclude = 5",
    "[files]\nignore = true",
    "[files]\ninclude = '!'",
    "[files]\nignore = [5]",
    f"x = {'[' * 3000}{']' * 3000}",
]


@pytest.mark.parametrize("text", NO_RULES, ids=lambda text: text[:20])
def test_the_server_refuses_a_spider_toml_that_is_not_right(folder: Path, text: str) -> None:
    text = f"name = 'x'\ncommand = 'true'\n{text}\n"
    write(folder, "spider.toml", text)
    write(folder, "a.py")
    assert paths(folder) == ["a.py"]
    with pytest.raises(BadInput, match=r"spider\.toml"):
        parse_spider_toml(text, file="spider.toml")


def test_the_deepest_ignore_file_decides(folder: Path) -> None:
    write(folder, ".gitignore", "*.csv")
    write(folder, "data/.silkmillignore", "!small.csv\nsecret")
    for path in ("data/small.csv", "data/big.csv", "data/secret", "secret", "small.csv"):
        write(folder, path)
    assert paths(folder) == ["data/.silkmillignore", "data/small.csv", "secret"]


def test_silkmillignore_is_stronger_than_gitignore(folder: Path) -> None:
    write(folder, ".gitignore", "*.csv")
    write(folder, ".silkmillignore", "!a.csv\nb.py")
    for path in ("a.csv", "b.py", "c.py"):
        write(folder, path)
    assert paths(folder) == [".silkmillignore", "a.csv", "c.py"]


def test_spider_toml_chooses_files(folder: Path) -> None:
    write(folder, "spider.toml", '[files]\ninclude = ["*.py", "spider.toml"]\nignore = ["test_*"]\n')
    for path in ("a.py", "d/b.py", "test_a.py", "c.txt"):
        write(folder, path)
    assert paths(folder) == ["a.py", "d/b.py"]


def test_spider_toml_is_always_taken(folder: Path) -> None:
    write(folder, "spider.toml", 'name = "x"\n[files]\ninclude = ["*.py"]\nignore = ["*"]\n')
    write(folder, ".gitignore", "*.toml\n")
    write(folder, "sub/spider.toml")
    assert [file.path for file in manifest(folder)] == ["spider.toml"]


def test_names_are_text(folder: Path) -> None:
    write(folder, "\udcff.txt")
    with pytest.raises(BadFolder, match="not UTF-8; rename it"):
        manifest(folder)


def test_links_to_files_count_and_links_to_folders_do_not(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    write(outside, "f", "content")
    (folder / "link").symlink_to(outside / "f")
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "pipe")
    assert paths(folder) == ["link"]


def test_bad_folders(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadFolder, match="not a folder"):
        manifest(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadFolder, match=r"neither spider\.toml nor scrapy\.cfg"):
        manifest(tmp_path / "empty")
    (folder / "dangling").symlink_to("nowhere")
    with pytest.raises(BadFolder, match="dangling"):
        manifest(folder)


class Recorder:
    """The part of a client that a deploy uses; keeps what it was given."""

    def __init__(self, known: set[str]) -> None:
        self.known, self.put, self.files = known, list[bytes](), list[Any]()

    def missing_blobs(self, sha256: list[str]) -> list[str]:
        return [sha for sha in sha256 if sha not in self.known]

    def put_blob(self, sha256: str, data: bytes) -> None:
        assert hashlib.sha256(data).hexdigest() == sha256
        self.put.append(data)

    def create_version(self, files: list[Any], *, project: str | None = None) -> dict[str, Any]:
        self.files = files
        return {"id": "v1"}


def test_only_missing_contents_are_sent_and_equal_ones_once(folder: Path) -> None:
    for path, text in (("a", "same"), ("b", "same"), ("c", "known")):
        write(folder, path, text)
    client = Recorder({hashlib.sha256(b"known").hexdigest()})
    assert deploy_folder(client, folder) == {"id": "v1"}  # type: ignore[arg-type]
    assert sorted(client.put) == [b'name = "x"\ncommand = "true"\n', b"same"]
    assert [file["path"] for file in client.files] == ["a", "b", "c", "spider.toml"]
