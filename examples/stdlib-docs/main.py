"""Crawls the documentation of Python's standard library; each module becomes an item.

silkmill run examples/stdlib-docs
silkmill items last --format csv
"""

from __future__ import annotations

from modules import ModulesSpider, SaveItem
from pydoc_server import pydoc_server
from scrapy.crawler import CrawlerProcess

SETTINGS = {
    "ITEM_PIPELINES": {SaveItem: 100},
    "LOG_LEVEL": "INFO",
    "TELNETCONSOLE_ENABLED": False,  # this crawl listens nowhere
    "REMOTE_CONTROL_ENABLED": False,
    "CONCURRENT_REQUESTS": 2,  # the server answers one at a time
    "DOWNLOAD_TIMEOUT": 30,
}


def main() -> None:
    with pydoc_server() as index:
        crawl = CrawlerProcess(SETTINGS)
        crawl.crawl(ModulesSpider, index=index)
        crawl.start()


if __name__ == "__main__":
    main()
