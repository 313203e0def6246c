"""The layers of the architecture hold: import-linter's contracts, and that they can be broken."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "silkmill"
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """The contracts of `root`/pyproject.toml over `root`/src."""
    return subprocess.run(
        [LINT_IMPORTS, "--no-cache", "--config", ROOT / "pyproject.toml"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root / "src")},
        capture_output=True,
        text=True,
    )


def test_every_contract_is_kept() -> None:
    linted = lint_imports(ROOT)
    assert linted.returncode == 0, linted.stdout + linted.stderr


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("domain/task.py", "silkmill.ports.store"),
        ("master/feed.py", "silkmill.adapters.clock"),
        ("runner/limits.py", "silkmill.domain.task"),
        ("client/calls.py", "silkmill.master.feed"),
        ("sdk/messages.py", "silkmill.sdk.scrapy.report"),
        ("sdk/__init__.py", "silkmill.sdk.scrapy.report"),
    ],
)
def test_a_forbidden_import_is_found(tmp_path: Path, module: str, forbidden: str) -> None:
    shutil.copytree(SOURCE, tmp_path / "src" / "silkmill", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "src" / "silkmill" / module).open("a") as file:
        file.write(f"\nimport {forbidden}\n")
    linted = lint_imports(tmp_path)
    assert linted.returncode == 1
    importer = module.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    assert f"silkmill.{importer} -> {forbidden}" in linted.stdout


SCRAPY = {"scrapy", "twisted", "itemadapter"}


@pytest.mark.parametrize(
    ("package", "also"),
    [
        ("domain", {"cronsim"}),
        ("protocol", set()),
        ("runner", set()),
        ("sdk", set()),
        ("sdk/scrapy", SCRAPY),
    ],
)
def test_it_stands_on_the_standard_library(package: str, also: set[str]) -> None:
    strangers = {
        f"{path.relative_to(SOURCE)}: {name}"
        for path in (SOURCE / package).rglob("*.py")
        for name in imported(path)
        if name.split(".")[0] not in {"silkmill", *sys.stdlib_module_names, *also}
        and (package == "sdk/scrapy" or not path.is_relative_to(SOURCE / "sdk" / "scrapy"))
    }
    assert not strangers


def test_what_judges_the_engine_imports_nothing_of_it() -> None:
    """The board of faults drives processes and reads database, bucket and the spiders' own records. The
    spiders may use the SDK, as anybody's may; the test of the disk model plays what the engine calls."""
    folder = ROOT / "tests" / "faults"
    judges = [
        *(path for path in folder.rglob("*.py") if path.parent.name != "spiders"),
        ROOT / "tests" / "engine" / "server.py",
    ]
    assert folder / "checker.py" in judges
    partial = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in judges
        if not path.name.startswith("test_")
        for name in imported(path)
        if name.split(".")[0] == "silkmill"
    }
    assert not partial


def imported(path: Path) -> Iterator[str]:
    """Absolute names of what a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            assert node.module is not None
            yield node.module
