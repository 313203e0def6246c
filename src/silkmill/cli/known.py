"""Spiders as `--spider [PROJECT/]S` names them, and whether there is one."""

from __future__ import annotations

from typing import Any

from silkmill.client.client import Client
from silkmill.client.errors import NOT_FOUND, ClientError


class NoSuchSpider(ClientError):
    exit_code = NOT_FOUND

    def __init__(self, name: str) -> None:
        super().__init__(f"no spider {name!r}; deploy its folder, or check the name")


def split_spider(text: str) -> dict[str, Any]:
    """The `project`, None for any, and the `spider` of `[PROJECT/]S`."""
    project, slash, name = text.rpartition("/")
    return {"project": project if slash else None, "spider": name}


def check_known(client: Client, text: str) -> None:
    """For a list that came out empty: one that was deployed, or has tasks still, may have nothing to show.

    Raises NoSuchSpider."""
    named = split_spider(text)
    deployed = any(
        spider["name"] == named["spider"] and named["project"] in (None, spider["project"])
        for spider in client.spiders()
    )
    if not deployed and not client.tasks(limit=1, **named)["tasks"]:
        raise NoSuchSpider(text)
