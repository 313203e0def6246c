"""A folder as a manifest, and its way to the server: only what the server lacks is sent."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from silkmill.client.client import Client
from silkmill.client.errors import BAD_INPUT, CANCELLED, TASK_FAILED, ClientError

MANIFESTS = ("spider.toml", "scrapy.cfg")
"""A folder with one of them holds spiders."""
LISTING_LINES = 30


class BadFolder(ClientError):
    """The folder cannot be deployed as it is."""

    exit_code = BAD_INPUT


@dataclass(frozen=True, slots=True)
class LocalFile:
    """One file of the manifest. `path` is relative to the folder, `size` in bytes, `mode` permission bits."""

    source: Path
    path: str
    sha256: str
    size: int
    mode: int

    @property
    def entry(self) -> dict[str, Any]:
        return {"path": self.path, "sha256": self.sha256, "size": self.size, "mode": self.mode}


class ListingFailed(ClientError):
    """Scrapy did not say which spiders its project has."""

    exit_code = TASK_FAILED


def deploy_folder(
    client: Client,
    folder: Path,
    *,
    project: str | None = None,
    listing: Callable[[str], object] | None = None,
) -> dict[str, Any]:
    """Make a version of the folder: {"id", "project", "spiders", …}.

    The spiders of a Scrapy project are found by a task, which is waited for; `listing` is told its id.
    Raises BadFolder, ListingFailed, and as Client."""
    files = manifest(folder)
    missing = set(client.missing_blobs(sorted({file.sha256 for file in files})))
    for file in files:
        if file.sha256 in missing:
            missing.discard(file.sha256)
            client.put_blob(file.sha256, file.source.read_bytes())
    entries = [file.entry for file in files]
    version = client.create_version(entries, project=project)
    if task_id := version.get("listing"):
        if listing is not None:
            listing(task_id)
        _wait_for_listing(client, task_id)
        version = client.create_version(entries, project=project)
    return version


def _wait_for_listing(client: Client, task_id: str) -> None:
    for event in client.follow_log(task_id, tail=0):
        if event.name == "end":
            break
    task = client.task(task_id)
    if task["state"] != "finished":
        said = b"".join(client.log(task_id, raw=True, tail=LISTING_LINES)).decode(errors="replace").rstrip()
        what = f"its spiders cannot be listed: {task['reason']} (task {task_id})"
        failed = ListingFailed(f"{what}; its log ends with\n{said}" if said else what)
        failed.exit_code = CANCELLED if task["state"] == "cancelled" else TASK_FAILED
        raise failed


def holds_spiders(folder: Path) -> bool:
    return any((folder / name).is_file() for name in MANIFESTS)


def manifest(folder: Path) -> list[LocalFile]:
    """The files of a folder by path, without those its rules ignore. Links to files count as files, links to
    directories are not followed."""
    if not folder.is_dir():
        raise BadFolder(f"{folder} is not a folder; give the folder that holds spider.toml or scrapy.cfg")
    if not holds_spiders(folder):
        raise BadFolder(
            f"{folder} has neither spider.toml nor scrapy.cfg; write one with at least `name` and `command`"
        )
    return sorted(_read_files(folder), key=lambda file: file.path)


def _read_files(folder: Path) -> Iterator[LocalFile]:
    from silkmill.client.ignore import FolderRules  # pathspec is needed for deploys only

    rules = FolderRules(folder)
    for directory, names, files in os.walk(folder, onerror=_refuse):
        here = PurePosixPath(Path(directory).relative_to(folder).as_posix())
        names[:] = sorted(
            name
            for name in names
            if rules.takes_directory(here / name) and not _is_data_directory(Path(directory, name))
        )
        for name in files:
            if rules.takes_file(here / name):
                yield from _read_file(Path(directory, name), here / name)


def _read_file(source: Path, path: PurePosixPath) -> Iterator[LocalFile]:
    if not _is_text(str(path)):
        raise BadFolder(f"the name of {str(source)!r} is not UTF-8; rename it")
    try:
        found = source.stat()
        if stat.S_ISREG(found.st_mode):
            with source.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            yield LocalFile(source, str(path), digest, found.st_size, stat.S_IMODE(found.st_mode) & 0o777)
    except OSError as error:
        _refuse(error)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_data_directory(path: Path) -> bool:
    """One that lies in the folder holds what its own tasks left, and changes while it is read."""
    return (path / "silkmill.db").exists() and (path / "bucket").is_dir()


def _refuse(error: OSError) -> None:
    raise BadFolder(
        f"{error.filename}: {error.strerror}; make it readable, or name it in .silkmillignore"
    ) from error
