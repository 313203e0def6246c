"""A web site on the loopback, in threads of the test."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Site:
    """`/missing…` is not there, `/slow…` is answered after `release()`, `/broken` says nonsense; all else is
    a page."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.slow_asked, self._released = threading.Event(), threading.Event()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}{path}"

    def release(self) -> None:
        self._released.set()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.paths.append(request.path)
        if request.path.startswith("/slow"):
            self.slow_asked.set()
            self._released.wait(60)
        if request.path.startswith("/broken"):
            request.wfile.write(b"nonsense\r\n\r\n")
            return
        missing = request.path.startswith(("/missing", "/robots.txt"))
        body = b"<html><title>%s</title></html>" % request.path.encode()
        request.send_response(404 if missing else 200)
        request.send_header("Content-Type", "text/html")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)


@contextmanager
def open_site() -> Iterator[Site]:
    site = Site()
    thread = threading.Thread(target=site.server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield site
    finally:
        site.release()
        site.server.shutdown()
        thread.join()
        site.server.server_close()


@contextmanager
def refused_port() -> Iterator[int]:
    """A port of the loopback that refuses connections: taken, but nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]
