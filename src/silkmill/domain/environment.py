"""Which files of a version describe an environment, and the key under which it is shared. Pure."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from silkmill.domain.version import FileEntry

LAYOUT = 1
"""Raise it when environments are built in another way: those of before are not used then."""
REQUIREMENTS, PYPROJECT, UV_LOCK = "requirements.txt", "pyproject.toml", "uv.lock"
PACKAGE, PACKAGE_LOCK = "package.json", "package-lock.json"
_NAMES = frozenset({REQUIREMENTS, PYPROJECT, UV_LOCK, PACKAGE, PACKAGE_LOCK})
_KEY_LENGTH = 16
_MOST_KNOWN = 256
_INCLUDE = re.compile(r"^[ \t]*(?:-[rc][ \t]*|--(?:requirement|constraint)(?:=|[ \t]+))(\S+)", re.MULTILINE)

Read = Callable[[FileEntry], str]
Answer = TypeVar("Answer")


class Kind(StrEnum):
    """What an environment is built from. The values are in its key."""

    REQUIREMENTS = "requirements"
    PROJECT = "project"
    NODE = "node"

    @property
    def source(self) -> str:
        """The file that names the packages."""
        return {Kind.REQUIREMENTS: REQUIREMENTS, Kind.PROJECT: PYPROJECT, Kind.NODE: PACKAGE}[self]


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that an environment is made from: `files` of the version, sorted by path."""

    kind: Kind
    files: tuple[FileEntry, ...]

    def has(self, path: str) -> bool:
        return any(entry.path == path for entry in self.files)

    def key(self, machine: str) -> str:
        """Equal for equal content on equal machines; `machine` names interpreter, its version, platform."""
        facts = [LAYOUT, self.kind, machine, [(entry.path, entry.sha256) for entry in self.files]]
        digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
        return f"{self.kind}-{digest[:_KEY_LENGTH]}"


def recipes_of(files: Sequence[FileEntry], read: Read) -> tuple[Recipe, ...]:
    """At most one for Python and one for Node. `requirements.txt` goes before `pyproject.toml`.

    A pyproject.toml without `[project]` and a package.json without dependencies (both may hold nothing but
    settings of tools) ask for none. Of a file that was seen before, `read` is not called."""
    named = {entry.path: entry for entry in files if entry.path in _NAMES}
    if not named:
        return ()
    recipes = []
    if REQUIREMENTS in named:
        recipes.append(_recipe(Kind.REQUIREMENTS, _with_includes(files, named[REQUIREMENTS], read)))
    elif PYPROJECT in named and _projects.of(named[PYPROJECT], read):
        recipes.append(_recipe(Kind.PROJECT, _present(named, PYPROJECT, UV_LOCK)))
    if PACKAGE in named and _packages.of(named[PACKAGE], read):
        recipes.append(_recipe(Kind.NODE, _present(named, PACKAGE, PACKAGE_LOCK)))
    return tuple(recipes)


def _recipe(kind: Kind, files: list[FileEntry]) -> Recipe:
    return Recipe(kind, tuple(sorted(files, key=lambda entry: entry.path)))


def _present(named: dict[str, FileEntry], *paths: str) -> list[FileEntry]:
    return [named[path] for path in paths if path in named]


def _with_includes(files: Sequence[FileEntry], main: FileEntry, read: Read) -> list[FileEntry]:
    """The file and what it includes, as far as that is in the folder."""
    by_path = {entry.path: entry for entry in files}
    found, waiting = {main.path: main}, [main]
    while waiting:
        entry = waiting.pop()
        for name in _included.of(entry, read):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(entry.path), name))
            if path in by_path and path not in found:
                found[path] = by_path[path]
                waiting.append(by_path[path])
    return list(found.values())


def _includes(text: str) -> tuple[str, ...]:
    return tuple(_INCLUDE.findall(text))


def _is_project(text: str) -> bool:
    """A file that cannot be read counts, so that its error is told."""
    try:
        return "project" in tomllib.loads(text)
    except (ValueError, RecursionError):
        return True


def _has_dependencies(text: str) -> bool:
    try:
        package = json.loads(text)
    except (ValueError, RecursionError):
        return True
    return not isinstance(package, dict) or any(
        package.get(name) for name in ("dependencies", "optionalDependencies")
    )


def without_scripts(package: bytes) -> bytes:
    """A package.json that asks for the same. Raises ValueError for what cannot be read.

    npm reads some of that, a number of 5,000 digits or a byte that is no UTF-8, and would run its scripts."""
    try:
        content = json.loads(package)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if not isinstance(content, dict) or "scripts" not in content:
        return package
    return json.dumps({name: value for name, value in content.items() if name != "scripts"}).encode()


class _Known(Generic[Answer]):
    """What was found in the same few files, task after task, by their hashes."""

    def __init__(self, find: Callable[[str], Answer]) -> None:
        self._find = find
        self._answers: dict[str, Answer] = {}

    def of(self, entry: FileEntry, read: Read) -> Answer:
        if entry.sha256 not in self._answers:
            answer = self._find(read(entry))
            if len(self._answers) >= _MOST_KNOWN:
                del self._answers[next(iter(self._answers))]
            self._answers[entry.sha256] = answer
        return self._answers[entry.sha256]


_included, _projects, _packages = _Known(_includes), _Known(_is_project), _Known(_has_dependencies)
