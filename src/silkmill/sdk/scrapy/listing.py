"""Lists the spiders of the project in the working directory: `python -m silkmill.sdk.scrapy.listing [NAME…]`.

Each is saved as an item `{"name": the one on Silkmill, "crawl": the one in Scrapy}`, by name. The arguments
are names that must be among them. What a user can mend is said on stderr, with exit code 1; what the import
of the project raises is shown as it is.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import List

from silkmill.sdk import save_items

from .names import BadNames, check_overrides, fold_all

_NO_SCRAPY = (
    "this project has a scrapy.cfg, but its environment has no Scrapy: "
    "add scrapy to requirements.txt (or to the dependencies of pyproject.toml)"
)


def main() -> None:
    if find_spec("scrapy") is None:
        sys.exit(_NO_SCRAPY)
    try:
        spiders = fold_all(_names_in_scrapy())
        check_overrides(sys.argv[1:], spiders)
    except BadNames as problem:
        sys.exit(str(problem))
    save_items({"name": name, "crawl": crawl} for name, crawl in spiders.items())


def _names_in_scrapy() -> List[str]:
    """As `scrapy list` gives them."""
    from scrapy.utils.project import get_project_settings

    settings = get_project_settings()
    try:
        from scrapy.spiderloader import get_spider_loader
    except ImportError:  # before Scrapy 2.13
        from scrapy.crawler import CrawlerRunner

        return list(CrawlerRunner(settings).spider_loader.list())
    return list(get_spider_loader(settings).list())


if __name__ == "__main__":
    main()
