"""The folder of a Scrapy project: Scrapy knows its spiders, and spider.toml says more about them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from silkmill.domain.errors import BadInput
from silkmill.domain.outcome import Rules
from silkmill.domain.scrapy import LISTER, crawl, is_crawl, lister_command
from silkmill.domain.spider import Limits, SpiderConfig, check_name
from silkmill.domain.spider_toml import names_of, read_top, single_name, spider_of, table_of
from silkmill.domain.toml_table import TomlTable

LISTING_SECONDS = 600.0
"""Hundreds of spiders are imported in seconds: what takes longer hangs."""
MOST_SPIDERS = 10_000


@dataclass(frozen=True, slots=True)
class ScrapyFolder:
    """`spiders`: those that are known without Scrapy, by name. `lister`: finds the others."""

    spiders: dict[str, SpiderConfig]
    lister: SpiderConfig | None = None


def parse_scrapy_folder(text: str, *, file: str) -> ScrapyFolder:
    """What its spider.toml says, "" if it has none. Raises BadInput.

    With a `name` it holds this one spider."""
    top = read_top(text, file)
    if "name" in top.values and not names_of(top):
        name = single_name(top)
        return ScrapyFolder({name: spider_of(top, name, crawl(name), scrapy=True)})
    if is_crawl(spider_of(top.without("spiders"), LISTER, crawl(LISTER)).command) and "command" in top.values:
        top.refuse("command", "would crawl one spider for all", "leave it out, or give the folder its name")
    apart = {name: _spider(top, name, name) for name in names_of(top) if _has_own_command(top, name)}
    _check_free(apart)
    overrides = [name for name in names_of(top) if name not in apart]
    for name in overrides:  # whether they can be read
        _spider(top, name, name)
    return ScrapyFolder(apart, _lister(top, overrides))


def listed_spiders(text: str, *, file: str, listed: Mapping[str, str]) -> dict[str, SpiderConfig]:
    """All spiders of the folder by name. `listed`: those that Scrapy knows, with the name they have there.

    Raises BadInput."""
    top = read_top(text, file)
    apart = {name: name for name in names_of(top) if _has_own_command(top, name)}
    _check_free(listed)
    return {name: _spider(top, name, scrapy_name) for name, scrapy_name in (apart | dict(listed)).items()}


def _spider(top: TomlTable, name: str, scrapy_name: str) -> SpiderConfig:
    check_name(name, "name")
    table = table_of(top, name) if name in top.table("spiders", None).values else top.without("spiders")
    return spider_of(table, name, crawl(scrapy_name), scrapy=True)


def _check_free(names: Collection[str]) -> None:
    if LISTER in names:
        raise BadInput(f"a spider is called {LISTER!r}", field="name", remedy="choose a name that is free")


def _has_own_command(top: TomlTable, name: str) -> bool:
    """Then Scrapy need not know it."""
    return "command" in top.table("spiders", None).table(name, None).values


def _lister(top: TomlTable, overrides: list[str]) -> SpiderConfig:
    """Where and with what it runs, the defaults say; what they say of crawls is not for it."""
    defaults = _spider(top, LISTER, LISTER)
    placement = defaults.placement
    return SpiderConfig(
        name=LISTER,
        project=defaults.project,
        command=lister_command(overrides),
        priority=1,
        ipc="strict",
        env=defaults.env,
        limits=Limits(
            runtime_seconds=LISTING_SECONDS,
            items=MOST_SPIDERS,
            prepare_seconds=defaults.limits.prepare_seconds,
        ),
        include=defaults.include,
        ignore=defaults.ignore,
        outcome=Rules(min_items=1),
        placement=replace(placement, mode="random") if placement.mode == "all" else placement,
    )
