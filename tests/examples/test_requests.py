"""A plain spider with packages of its own, over a site on the loopback."""

from __future__ import annotations

from tests.examples.cli import EXAMPLES, Silkmill
from tests.examples.index import need_index
from tests.examples.site import QUOTES, served

REQUESTS = EXAMPLES / "requests"


def test_requests(silkmill: Silkmill) -> None:
    need_index(REQUESTS)
    with served() as site:
        task = silkmill.run(REQUESTS, "-a", f"site={site.address}")
    assert site.visited == ["/", "/page/2/", "/page/3/"]
    assert (task["state"], task["items"], task["progress"]) == ("finished", len(QUOTES), 1)
    assert task["status"]["quotes"] == len(QUOTES)
    assert silkmill.items() == [
        {"text": text, "author": author, "tags": tags} for text, author, tags in QUOTES
    ]
    assert f"200 {site.address}/page/2/" in silkmill.log()
    assert "pages=3 quotes=5" in silkmill.log("--where", "pages=3")

    with served() as site:
        task = silkmill.run(REQUESTS, "-a", f"site={site.address}", "-a", "pages=2")
    assert site.visited == ["/", "/page/2/"] and task["items"] == 4
