"""Which files of a folder belong to a spider: .gitignore, .silkmillignore and `[files]` of spider.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pathspec import GitIgnoreSpec

from silkmill.client.folder import MANIFESTS, BadFolder

NEVER = (".git/", ".hg/", ".svn/", "__pycache__/", "*.py[co]", ".venv/", "/.scrapy/")
"""What no spider needs: history, caches, and an environment that works only where it was made."""
IGNORE_FILES = (".gitignore", ".silkmillignore")
MANIFEST = "spider.toml"


class FolderRules:
    """The rules of one folder. As with git, the deepest ignore file that says something about a path decides,
    and what lies in an ignored directory cannot be brought back.

    What is no pattern is passed over in an ignore file, as git does, and raises BadFolder in spider.toml."""

    def __init__(self, root: Path) -> None:
        include, ignore = _files_table(root / MANIFEST)
        self._root = root
        self._include = GitIgnoreSpec.from_lines(include)
        self._ignore = GitIgnoreSpec.from_lines([*NEVER, *ignore])
        self._specs: dict[PurePosixPath, GitIgnoreSpec | None] = {}

    def takes_directory(self, path: PurePosixPath) -> bool:
        return not self._ignored(path, f"{path}/")

    def takes_file(self, path: PurePosixPath) -> bool:
        if str(path) in MANIFESTS:  # a version without them is none, whatever the rules say
            return True
        return self._include.match_file(str(path)) and not self._ignored(path, str(path))

    def _ignored(self, path: PurePosixPath, text: str) -> bool:
        if self._ignore.match_file(text):
            return True
        for directory in path.parents:
            spec = self._spec_of(directory)
            if spec is not None:
                said = spec.check_file(text[len(str(directory)) + 1 :] if directory.parts else text).include
                if said is not None:
                    return said
        return False

    def _spec_of(self, directory: PurePosixPath) -> GitIgnoreSpec | None:
        if directory not in self._specs:
            lines = list(_lines(self._root / directory))
            self._specs[directory] = GitIgnoreSpec.from_lines(lines) if lines else None
        return self._specs[directory]


def _lines(directory: Path) -> Iterator[str]:
    for name in IGNORE_FILES:
        file = directory / name
        if file.is_file():
            yield from filter(_is_pattern, file.read_text(errors="replace").splitlines())


def _is_pattern(line: str) -> bool:
    try:
        GitIgnoreSpec.from_lines([line])
    except (ValueError, re.error):
        return False
    return True


def _files_table(file: Path) -> tuple[list[str], list[str]]:
    """include and ignore. A file that is not right is the server's to refuse, with all its knowledge."""
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8-sig")).get("files", {})
        rules = {"include": table.get("include", ["**"]), "ignore": table.get("ignore", [])}
    except (OSError, ValueError, AttributeError, RecursionError):
        return ["**"], []
    if not all(isinstance(patterns, list) and all(map(_is_text, patterns)) for patterns in rules.values()):
        return ["**"], []
    for key, patterns in rules.items():
        _check_patterns(file, key, patterns)
    return rules["include"], rules["ignore"]


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _check_patterns(file: Path, key: str, patterns: list[str]) -> None:
    for pattern in patterns:
        if not _is_pattern(pattern):
            raise BadFolder(
                f"{file}: files.{key} has {pattern!r}, which is no pattern; write it as in a .gitignore"
            )
