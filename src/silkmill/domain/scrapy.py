"""Spiders of a Scrapy project: what tells one, the command of each, its arguments and settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from silkmill.domain.errors import BadInput

PROJECT_FILE = "scrapy.cfg"
"""At the top of a folder it makes a Scrapy project of it."""
LISTER = "scrapy-list"
"""The spider of a project that saves the names of the others as its items."""


def is_crawl(command: tuple[str, ...]) -> bool:
    """Whether it takes arguments and settings as `scrapy crawl` does."""
    return command[:2] == ("scrapy", "crawl") or command[:4] == ("python", "-m", "scrapy", "crawl")


def crawl(spider: str) -> tuple[str, ...]:
    """The command template of a spider, by the name that it has in Scrapy. Raises BadInput."""
    if spider.startswith("-") or "\0" in spider:
        raise BadInput(
            f"no `scrapy crawl` can name the spider {spider!r}",
            field="name",
            remedy="rename it: a leading - makes an option of it, and no program takes a NUL byte",
        )
    return ("scrapy", "crawl", spider.replace("{", "{{"))


def lister_command(overrides: Iterable[str]) -> tuple[str, ...]:
    """`overrides`: names that must be among the project's spiders."""
    return ("python", "-m", "silkmill.sdk.scrapy.listing", *overrides)


def options(letter: str, values: Mapping[str, str]) -> tuple[str, ...]:
    """`-a` for arguments, `-s` for settings."""
    return tuple(word for name, value in values.items() for word in (f"-{letter}", f"{name}={value}"))


def check_option(name: str, value: str, field: str) -> None:
    """An argument or a setting, which Scrapy takes as `name=value`. Raises BadInput."""
    if not name or name.startswith("-") or "=" in name or not name.isprintable():
        raise BadInput(
            f"{field}: {name!r} cannot be given to Scrapy",
            field=f"{field}.{name}",
            remedy="use a name without =, control characters and a leading -",
        )
    if "\0" in value:
        raise BadInput(
            f"{field}: the value of {name} holds a NUL byte", field=f"{field}.{name}", remedy="leave it out"
        )
