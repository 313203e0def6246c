"""What `run` is pointed at: a folder, or a deployed spider."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from silkmill.cli.talk import say
from silkmill.client.client import Client
from silkmill.client.errors import BAD_INPUT, ClientError
from silkmill.client.folder import deploy_folder, holds_spiders

_NAME = re.compile(
    r"(?:(?P<project>[a-z0-9._-]{1,64})/)?(?P<spider>[a-z0-9._-]{1,64})(?:@(?P<version>[A-Za-z0-9]+))?\Z"
)


class BadTarget(ClientError):
    exit_code = BAD_INPUT


@dataclass(frozen=True, slots=True)
class Target:
    """`folder` is deployed first; else the spider is named."""

    folder: Path | None = None
    project: str = "default"
    spider: str = ""
    version: str | None = None

    def named(self) -> dict[str, Any]:
        """The part of a submission that says which spider of which version runs."""
        return {"project": self.project, "spider": self.spider, "version": self.version}

    def locate(self, client: Client, listing: Callable[[str], object]) -> dict[str, Any]:
        """As `named`; a folder is deployed for it. `listing`: see `deploy_folder`."""
        if self.folder is None:
            return self.named()
        version = deploy_folder(client, self.folder, listing=listing)
        names = version["spiders"]
        if len(names) != 1:
            raise BadTarget(_which(self.folder, version))
        return {"project": version["project"], "spider": names[0], "version": version["id"]}


def read_spider(text: str) -> Target:
    """`[PROJECT/]SPIDER[@VERSION]`."""
    named = _NAME.match(text)
    if named is None:
        raise BadTarget(
            f"{text!r} is not SPIDER[@VERSION]; `silkmill deploy PATH` names the spiders of a folder"
        )
    return Target(None, named["project"] or "default", named["spider"], named["version"])


def _which(folder: Path, version: dict[str, Any]) -> str:
    project = "" if version["project"] == "default" else f"{version['project']}/"
    names = ", ".join(f"{project}{name}" for name in version["spiders"])
    return (
        f"{folder} holds {len(version['spiders'])} spiders, and is deployed now as {version['id']}; "
        f"run one of them by its name, with `silkmill run NAME`: {names}"
    )


def spider_of(text: str) -> tuple[str, str]:
    """Project and name of `[PROJECT/]SPIDER`."""
    target = read_spider(text)
    if target.version is not None:
        raise BadTarget(f"{text!r} names a version; give the spider alone")
    return target.project, target.spider


def read_target(text: str) -> Target:
    """A path that exists, or begins like one, is a folder; `[PROJECT/]SPIDER[@VERSION]` is a spider.

    A folder without spider.toml and scrapy.cfg that is named like a spider is taken for the spider."""
    path = Path(text).expanduser()
    named = None if text.startswith((".", "/", "~")) else _NAME.match(text)
    if text and path.is_dir() and (named is None or holds_spiders(path)):
        return Target(folder=path)
    if named is None:
        raise BadTarget(
            f"{text!r} is neither a folder nor SPIDER[@VERSION]; give a folder with spider.toml or scrapy.cfg"
        )
    if path.is_dir():
        say(
            f"the folder {text} has no spider.toml or scrapy.cfg: {text} is looked for among deployed spiders"
        )
    elif "/" in text and path.parent.is_dir():
        say(f"there is no folder {text}: {text} is looked for among deployed spiders")
    return read_spider(text)
