"""Where the server is: named by the environment, or found through the data directory."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from silkmill.client.errors import NoServer


@dataclass(frozen=True, slots=True)
class Server:
    """An address and its bearer token. `pid` and `start_time` name its process, if it is on this machine."""

    url: str
    token: str = field(repr=False)
    pid: int | None = None
    start_time: int | None = None


def data_directory(given: str | os.PathLike[str] | None = None) -> Path:
    """`given`, else SILKMILL_DATA, else ~/.silkmill; absolute, whether it exists or not."""
    chosen = given or os.environ.get("SILKMILL_DATA") or "~/.silkmill"
    return Path(chosen).expanduser().absolute()


def find_server(data: Path) -> Server | None:
    """The server of SILKMILL_URL, else the live one that `data`/server.json names, else None.

    Raises NoServer when an address is known but no token for it."""
    url = os.environ.get("SILKMILL_URL")
    if url:
        return Server(url.rstrip("/"), _token(data, url))
    return announced_server(data)


def announced_server(data: Path) -> Server | None:
    """The live server of this data directory, if there is one."""
    try:
        facts = json.loads((data / "server.json").read_bytes())
        url, pid, start_time = str(facts["url"]), int(facts["pid"]), int(facts["start_time"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Server(url, _token(data, url), pid, start_time) if is_alive(pid, start_time) else None


def is_alive(pid: int, start_time: int) -> bool:
    """Whether that very process still runs: a pid alone may belong to another one by now."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    fields = stat.rpartition(b")")[2].split()
    return fields[0] not in (b"Z", b"X") and int(fields[19]) == start_time


def _token(data: Path, url: str) -> str:
    given = os.environ.get("SILKMILL_TOKEN", "").strip()
    if not given.isprintable():  # it would not fit into a header
        raise NoServer("SILKMILL_TOKEN holds control characters; give it the one line of the file `token`")
    if given:
        return given
    try:
        return (data / "token").read_text().strip()
    except OSError as error:
        raise NoServer(
            f"no token for the server at {url}: {data / 'token'} cannot be read ({error.strerror}); "
            "set SILKMILL_TOKEN, or name the server's data directory with --data"
        ) from None
