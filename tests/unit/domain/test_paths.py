"""Paths that may be in a version, alone and beside each other."""

from __future__ import annotations

import pytest

from silkmill.domain.paths import Tree, fault_of, folders_of


@pytest.mark.parametrize(
    "path",
    ["a", "a/b.py", ".hidden", "...", "a b", "straße", "C:", "n" * 255, "/".join("d" * 65)],
)
def test_plain_paths(path: str) -> None:
    assert fault_of(path) is None


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("/a", "is absolute"),
        ("..", "leads out"),
        ("a/../b", "leads out"),
        ("", "plainly"),
        (".", "plainly"),
        ("a//b", "plainly"),
        ("a/", "plainly"),
        ("./a", "plainly"),
        ("a\\b", "backslash"),
        ("a\0b", "NUL"),
        ("\udcff", "UTF-8"),
        ("ß" * 128, "255"),
        ("/".join(["n" * 200] * 6), "1024"),
        ("/".join("d" * 66), "64 folders deep"),
    ],
)
def test_faults(path: str, fault: str) -> None:
    assert fault in (fault_of(path) or "")


@pytest.mark.parametrize(
    ("files", "clash"),
    [
        (["a", "b/a", "b/c/a", "ab"], None),
        (["a", "a"], "'a' is there twice"),
        (["a", "a/b"], "'a' is both a file and a folder"),
        (["a/b/c", "a/b"], "'a/b' is both a file and a folder"),
        (["a/b/c", "a/b/c/d/e"], "'a/b/c' is both a file and a folder"),
    ],
)
def test_files_beside_each_other(files: list[str], clash: str | None) -> None:
    tree = Tree()
    assert next(filter(None, map(tree.clash_of_file, files)), None) == clash


def test_folders_that_are_named_themselves() -> None:
    tree = Tree()
    assert [tree.clash_of_folder("a/b"), tree.clash_of_folder("a"), tree.clash_of_file("a/b/c")] == [None] * 3
    assert tree.clash_of_file("a") == "'a' is both a file and a folder"


def test_folders_of_a_path_the_innermost_first() -> None:
    assert list(folders_of("a/b/c")) == ["a/b", "a"]
    assert list(folders_of("a")) == []
