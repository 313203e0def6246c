"""A small site on the loopback, like quotes.toscrape.com: quotes by page, and a page for each author."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

QUOTES = [
    ("“Begin anywhere.”", "John Cage", ["work", "start"]),
    ("“ Less is more. ”", "Ludwig Mies", []),
    ("“Make it new.”", "Ezra Pound", ["work"]),
    ("“Begin anywhere.”", "John Cage", ["again"]),
    ("“I would prefer not to.”", "Bartleby", ["work", "end"]),
]
PER_PAGE = 2


class Site:
    """`visited`: the paths that were asked for, in order."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.visited: list[str] = []

    def page(self, path: str) -> str | None:
        """The HTML of a path, None where there is none. Below /nameless no quote has an author."""
        if path == "/nameless/":
            return _page([_quote("“Who said this?”", None, [])], None)
        if path.startswith("/author/"):
            return _author(path.removeprefix("/author/").replace("-", " "))
        if path == "/" or path.startswith("/page/"):
            return _listing(int(path.removeprefix("/page/").strip("/") or 1))
        return None


@contextmanager
def served() -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.visited.append(self.path)
            html = site.page(self.path)
            body = (html or "not here").encode()
            self.send_response(404 if html is None else 200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site = Site(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()


def _listing(number: int) -> str:
    start, end = (number - 1) * PER_PAGE, number * PER_PAGE
    return _page([_quote(*quote) for quote in QUOTES[start:end]], number + 1 if end < len(QUOTES) else None)


def _page(quotes: list[str], following: int | None) -> str:
    link = f'<li class="next"><a href="/page/{following}/">Next</a></li>' if following else ""
    return f"<!DOCTYPE html><title>Quotes</title><body>{''.join(quotes)}<ul class=pager>{link}</ul></body>"


def _quote(text: str, author: str | None, tags: list[str]) -> str:
    by = (
        f'<small class="author">{author}</small> <a href="/author/{_slug(author)}">about</a>'
        if author
        else ""
    )
    tagged = "".join(f'<a class="tag">{tag}</a>' for tag in tags)
    return f'<div class="quote"><span class="text">{text}</span> {by} <div class="tags">{tagged}</div></div>'


def _author(name: str) -> str:
    return (
        f'<!DOCTYPE html><title>{name}</title><h3 class="author-title">{name}</h3>'
        f'<span class="author-born-date">in {len(name)}</span>'
        f'<div class="author-description">\n  {name} said something.\n</div>'
    )


def _slug(name: str) -> str:
    return name.replace(" ", "-")
