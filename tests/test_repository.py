"""What no commit may hold: addresses of registries, paths of a machine, secrets, others' code, dead links."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Written so that no pattern matches its own text.
FORBIDDEN = {
    "the address of a package registry": r"pypi\.org|pythonhosted\.org|registry\.npmjs|registry\.yarnpkg",
    "a package index": r"(?m)^\s*(-i|--index-url|--extra-index-url|--find-links|index-url *=)[ =]",
    "a path of somebody's machine": rf"{re.escape(str(ROOT))}/|/roo[t]/|/home/(?!\.)\w+/|/User[s]/\w+/",
    "a private key": r"BEGIN [A-Z ]*PRIVATE KE[Y]",
    "a secret": r"AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}|xox[abp]-[0-9A-Za-z-]{20}",
    "a licence of others": r"(?i)copyrigh[t] (\(c\)|©|\d{4})|SPDX-License-Identifie[r]|all rights reserve[d]",
}
OTHERS_FOLDERS = {"vendor", "vendored", "third_party", "node_modules", "site-packages"}
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@cache
def texts() -> dict[str, str]:
    """The files of the repository by path, committed or not; binary ones as far as they are text."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    paths = [path for path in listed.split("\0") if path and (ROOT / path).is_file()]
    return {path: (ROOT / path).read_text(errors="replace") for path in paths}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_holds(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what])
    held = {
        f"{path}: {found[0][:80]}"
        for path, text in texts().items()
        if path != "LICENSE"
        for found in pattern.finditer(text)
    }
    assert not held


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("the address of a package registry", "https://files.python" + "hosted.org/x"),
        ("a package index", "--index-url" + " https://example.com/simple"),
        ("a path of somebody's machine", "/ro" + "ot/.cache"),
        ("a path of somebody's machine", f"{ROOT}/" + "src"),
        ("a private key", "-----BEGIN RSA " + "PRIVATE KEY-----"),
        ("a secret", "AKIA" + "ABCDEFGHIJKLMNOP"),
        ("a licence of others", "Copyright " + "(c) somebody"),
    ],
)
def test_the_patterns_find_what_they_are_for(what: str, text: str) -> None:
    assert re.search(FORBIDDEN[what], text)


def test_no_code_of_others() -> None:
    strangers = [path for path in texts() if OTHERS_FOLDERS & set(Path(path).parts) or ".min." in path]
    assert not strangers


def test_every_requirement_is_locked_with_hashes() -> None:
    for path in ("requirements/runtime.txt", "requirements/dev.txt"):
        for requirement in re.split(r"\n(?=\S)", re.sub(r"(?m)^\s*#.*\n", "", texts()[path]).strip()):
            assert re.match(r"[\w.-]+(\[[\w,-]+\])?==\S+", requirement), f"{path}: {requirement[:80]}"
            assert "--hash=sha256:" in requirement, f"{path}: {requirement[:80]}"


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads(texts()["pyproject.toml"])["project"]
    asked = {re.match(r"[\w.-]+", line)[0].lower() for line in project["dependencies"]}  # type: ignore[index]
    locked = set(re.findall(r"(?m)^([\w.-]+)(?:\[[\w,-]+\])?==", texts()["requirements/runtime.txt"].lower()))
    assert not asked - locked


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_the_page_lead_somewhere(page: Path) -> None:
    dead = [link for link in links_of(page) if not leads_somewhere(page, link)]
    assert not dead


def test_every_page_is_in_the_index_of_docs() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / link.split("#")[0]).resolve() for link in links_of(index)}
    pages = {page for page in PAGES if page.is_relative_to(ROOT / "docs")} - {index}
    assert not [str(page.relative_to(ROOT)) for page in sorted(pages - linked)]


def test_every_test_that_the_promises_name_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / "docs" / "promises.md").read_text())
    assert named
    missing = [
        f"{path}::{name}"
        for path, name in named
        if path not in texts() or (name and not re.search(rf"\bdef {name}\(", texts()[path]))
    ]
    assert not missing


def test_every_promise_names_its_mechanism_and_its_tests_or_says_not_yet() -> None:
    promises = re.split(r"(?m)^## (?=\d+\. )", (ROOT / "docs" / "promises.md").read_text())[1:]
    assert [int(promise.split(".")[0]) for promise in promises] == list(range(1, 13))
    empty = [
        promise.splitlines()[0]
        for promise in promises
        if not re.search(r"\*Tests:\* `tests/", promise) and "**Not yet:** there are no" not in promise
    ]
    assert not empty


def test_every_row_of_the_board_proves_a_promise() -> None:
    text = (ROOT / "docs" / "promises.md").read_text()
    rows = {path for path in texts() if re.fullmatch(r"tests/faults/rows/[a-z]\w+\.py", path)}
    assert not {path for path in rows if f"`{path}`" not in text}


def links_of(page: Path) -> Iterator[str]:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    return (link for link in LINK.findall(text) if "://" not in link and not link.startswith("mailto:"))


def leads_somewhere(page: Path, link: str) -> bool:
    path, _, heading = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not (target.exists() and target.is_relative_to(ROOT)):
        return False
    return not heading or heading in map(anchor, HEADING.findall(target.read_text()))


def anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
