"""The site that the Scrapy row crawls: a page of links and the products behind them, on the loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PRODUCTS = 5
PRODUCT_PATH = "/product/"


@contextmanager
def shop() -> Iterator[str]:
    """Its url."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Pages) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


class _Pages(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        page = _page(self.path)
        body = (page or "nothing here").encode()
        self.send_response(404 if page is None else 200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


def _page(path: str) -> str | None:
    """None where there is none, as for robots.txt."""
    if path == "/":
        links = "".join(f'<li><a href="{PRODUCT_PATH}{n}">Product {n}</a></li>' for n in range(PRODUCTS))
        return f"<!doctype html><title>Shop</title><ul>{links}</ul>"
    if path.startswith(PRODUCT_PATH):
        number = path.removeprefix(PRODUCT_PATH)
        return f'<!doctype html><h1>Product {number}</h1><p class="price">1{number}.50</p>'
    return None
