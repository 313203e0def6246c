"""Which files describe an environment, and when two of them are the same."""

from __future__ import annotations

import hashlib
import json

import pytest

from silkmill.domain.environment import Kind, Recipe, recipes_of, without_scripts
from silkmill.domain.version import FileEntry

PROJECT = '[project]\nname = "x"\n'


def recipes(contents: dict[str, str]) -> tuple[Recipe, ...]:
    files = [
        FileEntry(path, hashlib.sha256(text.encode()).hexdigest(), len(text))
        for path, text in contents.items()
    ]
    return recipes_of(files, lambda entry: contents[entry.path])


def paths(recipe: Recipe) -> list[str]:
    return [entry.path for entry in recipe.files]


def test_a_version_without_such_files_reads_nothing() -> None:
    files = [FileEntry("main.py", "0", 1), FileEntry("deep/requirements.txt", "1", 1)]
    assert recipes_of(files, lambda entry: pytest.fail(f"reads {entry}")) == ()


@pytest.mark.parametrize(
    ("contents", "kinds"),
    [
        ({"requirements.txt": ""}, [Kind.REQUIREMENTS]),
        ({"requirements.txt": "", "pyproject.toml": PROJECT, "uv.lock": ""}, [Kind.REQUIREMENTS]),
        ({"pyproject.toml": PROJECT}, [Kind.PROJECT]),
        ({"pyproject.toml": "[tool.ruff]\n"}, []),
        ({"pyproject.toml": "not toml ["}, [Kind.PROJECT]),
        ({"uv.lock": ""}, []),
        ({"package.json": '{"dependencies": {"a": "1"}}'}, [Kind.NODE]),
        ({"package.json": '{"optionalDependencies": {"a": "1"}}'}, [Kind.NODE]),
        ({"package.json": '{"scripts": {}, "devDependencies": {"a": "1"}}'}, []),
        ({"package.json": '{"dependencies": {}}'}, []),
        ({"package.json": "{"}, [Kind.NODE]),
        ({"package.json": "[" * 100_000}, [Kind.NODE]),
        ({"package.json": "9" * 5000}, [Kind.NODE]),
        ({"pyproject.toml": "a = " + "[" * 100_000}, [Kind.PROJECT]),
        ({"pyproject.toml": "a = " + "9" * 5000}, [Kind.PROJECT]),
        (
            {"package.json": '{"dependencies": {"a": "1"}}', "requirements.txt": ""},
            [Kind.REQUIREMENTS, Kind.NODE],
        ),
    ],
)
def test_what_asks_for_one(contents: dict[str, str], kinds: list[Kind]) -> None:
    assert [recipe.kind for recipe in recipes(contents)] == kinds


def test_a_file_is_read_once_by_its_content() -> None:
    asked: list[str] = []

    def read(entry: FileEntry) -> str:
        asked.append(entry.path)
        return "# read once\n"

    for sha256 in ("once", "once", "twice"):
        assert len(recipes_of([FileEntry("requirements.txt", sha256, 12)], read)) == 1
    assert len(asked) == 2
    for number in range(1000):
        recipes_of([FileEntry("requirements.txt", f"{number}", 12)], read)
    recipes_of([FileEntry("requirements.txt", "once", 12)], read)
    assert len(asked) == 1003, "not all is known for ever"


def test_included_files_belong_to_it_wherever_they_are_in_the_folder() -> None:
    [recipe] = recipes(
        {
            "requirements.txt": "-r req/a.txt\n  --constraint=c.txt\n# -r no.txt\n-rb.txt\nfoo -r x\n",
            "req/a.txt": "--requirement ../d.txt\n-c ../../outside.txt\n",
            "c.txt": "-r c.txt\n",
            "d.txt": "-r /absolute.txt\n-r https://x.test/d.txt\n",
            "b.txt": "",
            "no.txt": "",
            "x": "",
        }
    )
    assert paths(recipe) == ["b.txt", "c.txt", "d.txt", "req/a.txt", "requirements.txt"]


def test_a_lock_belongs_to_its_file_and_nothing_else_does() -> None:
    lock = {"pyproject.toml": PROJECT, "uv.lock": "", "package-lock.json": "{}", "main.py": ""}
    [recipe] = recipes(lock)
    assert paths(recipe) == ["pyproject.toml", "uv.lock"] and recipe.has("uv.lock")
    [node] = recipes({"package.json": "{", "package-lock.json": "{}", "uv.lock": ""})
    assert paths(node) == ["package-lock.json", "package.json"]


def test_equal_content_is_one_environment() -> None:
    base = {"requirements.txt": "-r a.txt", "a.txt": "x", "main.py": "1"}
    [recipe] = recipes(base)
    key = recipe.key("python 3.11")
    assert key.startswith("requirements-") and key == recipes(base | {"main.py": "2"})[0].key("python 3.11")
    different = [
        recipe.key("python 3.12"),
        recipes(base | {"a.txt": "y"})[0].key("python 3.11"),
        recipes({"requirements.txt": "-r b.txt", "b.txt": "x"})[0].key("python 3.11"),
    ]
    assert len({key, *different}) == 4


def test_a_package_loses_its_own_scripts_and_nothing_else() -> None:
    package = {"name": "x", "scripts": {"postinstall": "node x.js"}, "dependencies": {"ä": "1"}}
    kept = {"name": "x", "dependencies": {"ä": "1"}}
    assert json.loads(without_scripts(json.dumps(package).encode())) == kept
    for same in (json.dumps(kept).encode(), b"[]"):
        assert without_scripts(same) == same


@pytest.mark.parametrize("rest", [b"[" * 100_000, b"[" * 5000 + b"]" * 5000, b"9" * 5000, b'"\xff"', b""])
def test_a_package_that_cannot_be_read_does_not_keep_its_scripts(rest: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        without_scripts(b'{"scripts": {"install": "x"}, "rest": %b}' % rest)
