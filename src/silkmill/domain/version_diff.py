"""What differs between two versions: files, spiders, and what spider.toml says of those that both have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from silkmill.domain.spider import SpiderConfig
from silkmill.domain.version import FileEntry, Version


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """One path in both versions, with another content or other permission bits."""

    path: str
    old: FileEntry
    new: FileEntry


@dataclass(frozen=True, slots=True)
class ChangedSetting:
    """`key` is the dotted name of a field of `SpiderConfig`. A side that lacks it is None."""

    spider: str
    key: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class VersionDiff:
    """`old` and `new` are the versions' ids; all else is sorted by path or name."""

    old: str
    new: str
    added: tuple[FileEntry, ...]
    removed: tuple[FileEntry, ...]
    changed: tuple[ChangedFile, ...]
    added_spiders: tuple[str, ...]
    removed_spiders: tuple[str, ...]
    settings: tuple[ChangedSetting, ...]


def diff(old: Version, new: Version) -> VersionDiff:
    before = {entry.path: entry for entry in old.files}
    after = {entry.path: entry for entry in new.files}
    both = sorted(before.keys() & after.keys())
    return VersionDiff(
        old=old.id,
        new=new.id,
        added=tuple(after[path] for path in sorted(after.keys() - before.keys())),
        removed=tuple(before[path] for path in sorted(before.keys() - after.keys())),
        changed=tuple(ChangedFile(p, before[p], after[p]) for p in both if before[p] != after[p]),
        added_spiders=tuple(sorted(new.spiders.keys() - old.spiders.keys())),
        removed_spiders=tuple(sorted(old.spiders.keys() - new.spiders.keys())),
        settings=tuple(_settings(old, new)),
    )


def _settings(old: Version, new: Version) -> Iterator[ChangedSetting]:
    for name in sorted(old.spiders.keys() & new.spiders.keys()):
        before, after = _fields(old.spiders[name]), _fields(new.spiders[name])
        for key in sorted(before.keys() | after.keys()):
            if before.get(key) != after.get(key):
                yield ChangedSetting(name, key, before.get(key), after.get(key))


def _fields(config: SpiderConfig) -> dict[str, Any]:
    """Every value by its dotted name: `limits.items`, `params.day.default`, `env.HOME`."""
    return dict(_flat("", asdict(config)))


def _flat(prefix: str, fields: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in fields.items():
        if isinstance(value, dict):
            yield from _flat(f"{prefix}{key}.", value)
        else:
            yield f"{prefix}{key}", value
