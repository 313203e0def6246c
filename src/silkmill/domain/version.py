"""A version: the immutable files of a folder and the spiders they define."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

from silkmill.domain.spider import SpiderConfig


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a manifest. `path` is relative, with `/`; `mode` are the permission bits."""

    path: str
    sha256: str
    size: int
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Version:
    """Created atomically; its content never changes, and gives it its id: equal files, equal version."""

    id: str
    project: str
    files: tuple[FileEntry, ...]
    spiders: dict[str, SpiderConfig]
    created_at: datetime
    doomed_at: datetime | None = None
    """Since when nothing needs it: it is deleted a day later, unless something does again."""


@dataclass(frozen=True, slots=True)
class Blob:
    """Content by hash; `object_name` is where its bytes are in the bucket."""

    sha256: str
    object_name: str
    size: int
    touched_at: datetime
    doomed_at: datetime | None = None
    """Since when nobody may count on it: its object is going to be deleted."""


def version_id(project: str, files: tuple[FileEntry, ...]) -> str:
    """`v` and 12 hexadecimal digits of the manifest's hash."""
    manifest = [project, sorted((f.path, f.sha256, f.mode) for f in files)]
    return "v" + hashlib.sha256(json.dumps(manifest).encode()).hexdigest()[:12]
