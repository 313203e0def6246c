"""Python's own documentation server, as a child of this process for the length of a `with`."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager

# -I -S: neither this folder nor installed packages are documented, the standard library alone.
# The prints and warnings of modules that pydoc imports are none of ours.
COMMAND = [sys.executable, "-I", "-S", "-u", "-W", "ignore", "-m", "pydoc", "-n", "127.0.0.1", "-p", "0"]
READY = re.compile(r"Server ready at (\S+)")


@contextmanager
def pydoc_server() -> Iterator[str]:
    """The address of its index. Leaving kills it, for it keeps nothing; should this process die without
    leaving, the end of its stdin ends it. Raises RuntimeError when it does not start."""
    server = subprocess.Popen(
        COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=sysconfig.get_path("stdlib"),  # pydoc adds its working directory to what it documents
    )
    try:
        yield _wait_ready(server)
    finally:
        server.kill()
        server.communicate()


def _wait_ready(server: subprocess.Popen[str]) -> str:
    """It says its address once it listens; if it cannot, its output ends."""
    assert server.stdout is not None
    for line in server.stdout:
        if found := READY.search(line):
            return found[1]
    raise RuntimeError(f"pydoc ended with {server.wait()} before it was ready")
