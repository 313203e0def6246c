"""A version: the immutable files of a folder and the spiders they define."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from silkmill.domain.spider import SpiderConfig

TOUCHED_AGAIN_AFTER = timedelta(hours=1)
ANSWER_HOLDS = timedelta(hours=12)
"""How long what `POST /blobs/missing` said holds."""


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
    lister: SpiderConfig | None = None
    """Of a Scrapy project: finds its spiders, of which there are none before."""

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.files)


@dataclass(frozen=True, slots=True)
class SpiderVersion:
    """That a version holds a spider: what is listed of a spider's versions, without their manifests.

    Kept by `<project>/<spider>/<version>`, so that the versions of one spider lie together."""

    project: str
    spider: str
    version: str
    files: int
    bytes: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Listing:
    """The task that asks Scrapy for the spiders of a version. Kept by the version until they are known.

    `asked_at`: when somebody last deployed it; what was chosen for a spider since then stays."""

    version: str
    task: str
    asked_at: datetime
    refused: bool = False
    """What was found cannot be taken over; whoever deploys it again is told why."""


@dataclass(frozen=True, slots=True)
class Blob:
    """Content by hash; `object_name` is where its bytes are in the bucket.

    `touched_at`: when somebody last asked for it or brought it, at most an hour too early. Only a blob that
    was not touched for a day may be collected, so a version is made of blobs touched within half a day."""

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


def needs_touch(blob: Blob, now: datetime) -> bool:
    """A deploy of unchanged files costs one write a blob and hour."""
    return now - blob.touched_at >= TOUCHED_AGAIN_AFTER


def fault_of_blob(blob: Blob | None, entry: FileEntry, now: datetime) -> tuple[str, str] | None:
    """What forbids a version with this file, and the remedy. By its size a worker copies it."""
    if blob is None:
        return f"{entry.path!r} is not uploaded", "upload the files that POST /blobs/missing names"
    if now - blob.touched_at > ANSWER_HOLDS:
        return f"{entry.path!r} was asked for more than 12 h ago", "ask POST /blobs/missing again"
    if blob.size != entry.size:
        return f"{entry.path!r} has {blob.size} bytes, not {entry.size}", "read the folder again"
    return None
