"""What the files of a folder say about its spiders: spider.toml, scrapy.cfg, or both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace

from silkmill.domain.errors import BadInput
from silkmill.domain.scrapy import PROJECT_FILE
from silkmill.domain.scrapy_folder import ScrapyFolder, listed_spiders, parse_scrapy_folder
from silkmill.domain.spider import SpiderConfig, check_name
from silkmill.domain.spider_toml import parse_spider_toml
from silkmill.domain.version import FileEntry, Version

MANIFEST = "spider.toml"
MOST_MANIFEST_BYTES = 1 << 20
"""It is read between two other requests: so many bytes take a few tenths of a second."""


class Folders:
    """`content`: a file's bytes by its hash, in pieces."""

    def __init__(self, content: Callable[[str], AsyncIterator[bytes]]) -> None:
        self._content = content

    async def read(self, project: str | None, files: Sequence[FileEntry]) -> ScrapyFolder:
        """Its spiders, and the one that finds the others. `project` None: as spider.toml says.

        Raises BadInput, Unavailable."""
        scrapy, manifest = _entry(files, PROJECT_FILE), _entry(files, MANIFEST)
        if manifest is None and scrapy is None:
            raise BadInput(
                f"the folder has neither {MANIFEST} nor {PROJECT_FILE}",
                field="files",
                remedy=f'write a {MANIFEST} with at least name = "…" and command = "…"',
            )
        text = await self._text(manifest)
        if scrapy is None:
            return ScrapyFolder(_of_project(parse_spider_toml(text, file=MANIFEST), project))
        folder = parse_scrapy_folder(text, file=MANIFEST)
        lister = folder.lister and replace(folder.lister, project=_checked(project) or folder.lister.project)
        return ScrapyFolder(_of_project(folder.spiders, project), lister)

    async def listed(self, version: Version, listed: Mapping[str, str]) -> dict[str, SpiderConfig]:
        """All spiders of a version. `listed`: those that Scrapy knows, with the name they have there.

        Raises BadInput, Unavailable."""
        text = await self._text(_entry(version.files, MANIFEST))
        # Some hundred spiders, each with all defaults of a large file, take seconds: in turns with the loop.
        spiders = await asyncio.to_thread(listed_spiders, text, file=MANIFEST, listed=listed)
        return _of_project(spiders, version.project)

    async def _text(self, manifest: FileEntry | None) -> str:
        """ "" where there is no file."""
        if manifest is None:
            return ""
        if manifest.size > MOST_MANIFEST_BYTES:
            raise BadInput(
                f"{MANIFEST} has {manifest.size} bytes",
                field=MANIFEST,
                remedy=f"keep data in files of their own: it may have {MOST_MANIFEST_BYTES}",
            )
        content = b"".join([piece async for piece in self._content(manifest.sha256)])
        try:
            return content.decode("utf-8-sig")  # some editors mark UTF-8
        except UnicodeDecodeError:
            raise BadInput(f"{MANIFEST} is not UTF-8", field=MANIFEST, remedy="save it as UTF-8") from None


def _entry(files: Sequence[FileEntry], path: str) -> FileEntry | None:
    return next((entry for entry in files if entry.path == path), None)


def _of_project(spiders: Mapping[str, SpiderConfig], project: str | None) -> dict[str, SpiderConfig]:
    given = _checked(project)
    return {name: replace(config, project=given or config.project) for name, config in spiders.items()}


def _checked(project: str | None) -> str | None:
    return None if project is None else check_name(project, "project")
