"""Quotes, page by page, as long as there is a next one.

silkmill run examples/requests -a pages=3
silkmill items last --format csv
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from urllib.parse import urljoin

import requests
from parsel import Selector

from silkmill.sdk import cancelled, log, save_items, status


def main(site: str, pages: int) -> None:
    number, quotes = 0, 0
    for number, page in enumerate(fetched(site, pages), start=1):
        found = [quote(part) for part in page.css(".quote")]
        save_items(found)
        quotes += len(found)
        status(progress=number / pages, message=f"page {number}", quotes=quotes)
    status(progress=1, message="no more pages", quotes=quotes)
    log("the end", pages=number, quotes=quotes)


def fetched(site: str, pages: int) -> Iterator[Selector]:
    """What cannot be fetched ends the spider: its traceback tells that the network is to blame."""
    address: str | None = site
    with requests.Session() as session:
        for _ in range(pages):
            if address is None or cancelled():
                return
            answer = session.get(address, timeout=30)
            answer.raise_for_status()
            print(answer.status_code, answer.url)
            page = Selector(answer.text)
            yield page
            following = page.css(".next a::attr(href)").get()
            address = urljoin(answer.url, following) if following else None


def quote(part: Selector) -> dict[str, object]:
    return {
        "text": part.css(".text::text").get(),
        "author": part.css(".author::text").get(),
        "tags": part.css(".tag::text").getall(),
    }


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--site", required=True)
    arguments.add_argument("--pages", type=int, required=True)
    main(**vars(arguments.parse_args()))
