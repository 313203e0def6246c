"""The names that Scrapy's spiders get on Silkmill, and what is wrong with them."""

from __future__ import annotations

import re
from typing import Dict, Iterable, List

_LONGEST = 64


class BadNames(Exception):
    """The message says what is wrong and what to do; a line a problem."""


def fold(name: str) -> str:
    return re.sub(r"[^a-z0-9._-]", "-", name.lower())


def fold_all(names: Iterable[str]) -> Dict[str, str]:
    """Scrapy's name by that on Silkmill, sorted. Raises `BadNames`, also where there is none."""
    problems: List[str] = []
    folded: Dict[str, str] = {}
    for name in sorted(names):
        new = fold(name)
        if new in folded:
            problems.append(
                "the spiders %r and %r would both be called %r on Silkmill: rename one of them"
                % (folded[new], name, new)
            )
        elif name.startswith("-"):
            problems.append(
                "the spider %r has a name that `scrapy crawl` takes for an option: rename it" % name
            )
        elif not re.search(r"[a-z0-9]", new):
            problems.append("the spider %r has no letter a-z or digit in its name: rename it" % name)
        elif len(new) > _LONGEST:
            problems.append(
                "the spider %r has a name of more than %d characters: shorten it" % (name, _LONGEST)
            )
        folded.setdefault(new, name)
    if not folded:
        problems.append("Scrapy finds no spider in this project: look at SPIDER_MODULES in its settings")
    if problems:
        raise BadNames("\n".join(problems))
    return dict(sorted(folded.items()))


def check_overrides(overrides: Iterable[str], names: Iterable[str]) -> None:
    """Raises `BadNames` for a `[spiders.NAME]` that no spider has."""
    known = list(names)
    strange = [name for name in overrides if name not in known]
    if strange:
        raise BadNames(
            "\n".join(
                "spider.toml has [spiders.%s], but no spider is called so: rename or remove it. There are: %s"
                % (name, ", ".join(known))
                for name in strange
            )
        )
