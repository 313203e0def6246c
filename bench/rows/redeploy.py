"""A folder of 1,000 files is deployed again after one of them has changed: what goes over the wire."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from bench.comparison import Comparison
from bench.engine import BenchFailed, Engine, engine
from bench.rounds import Measure
from bench.wire import Wire, wire
from silkmill.client.folder import manifest

FILES = 1_000
MEDIAN_BYTES = 6 * 1024
SPREAD = 0.9
"""Of a log-normal distribution, the shape of source trees: 9 MiB in all, the largest file some 100 KiB."""
LEAST_BYTES = 64
LINE = 72
ALLOWED = 1.2
PATHS_OF_BLOBS = "PUT /api/v1/blobs/"
MANIFEST, HASHES = "POST /api/v1/versions", "POST /api/v1/blobs/missing"


class Redeploy:
    """What is sent is all that the command sends, heads of requests included. Two bodies in it grow with the
    folder: the manifest, and the hashes in the question which of them are missing."""

    name = "redeploy"
    comparisons = (
        Comparison("sent in all", "B", "sent", "1.2 x file + manifest", at_least=1, better="lower"),
        Comparison("without manifest, hashes", "B", "the rest", "file", at_least=ALLOWED, better="lower"),
        Comparison("manifest and hashes as sent", "B", "both", "manifest", better="lower"),
        Comparison("received in all", "B", "received", "file", better="lower"),
    )

    def __init__(self, files: int = FILES) -> None:
        self._files = files

    @contextmanager
    def measures(self, place: Path) -> Iterator[Sequence[Measure]]:
        folder = place / "project"
        changing = _write(folder, self._files)
        numbers = count()
        with engine(place) as ours, wire(ours.client.server.url) as proxy:
            _deploy(ours, proxy, folder)

            def change_and_deploy() -> Mapping[str, float]:
                changing.write_bytes(_content(changing.stat().st_size, f"changed {next(numbers)}"))
                proxy.forget()
                _deploy(ours, proxy, folder)
                return _figures(proxy, changing, folder)

            yield (change_and_deploy,)


def _figures(proxy: Wire, changed: Path, folder: Path) -> Mapping[str, float]:
    _check_uploads(proxy)
    file = changed.stat().st_size
    both = sum(request.body for request in proxy.requests if request.line in (MANIFEST, HASHES))
    once = len(json.dumps([file.entry for file in manifest(folder)], separators=(",", ":")))
    return {
        "sent": proxy.sent_bytes,
        "received": proxy.received_bytes,
        "both": both,
        "the rest": proxy.sent_bytes - both,
        "file": file,
        "manifest": once,
        "1.2 x file + manifest": ALLOWED * file + once,
    }


def _check_uploads(proxy: Wire) -> None:
    uploads = [request for request in proxy.requests if request.line.startswith(PATHS_OF_BLOBS)]
    if len(uploads) != 1:
        raise BenchFailed(f"{len(uploads)} files were uploaded, and one was changed")


def _deploy(ours: Engine, proxy: Wire, folder: Path) -> None:
    """By the command, which finds the proxy where it would find its server."""
    environment = os.environ | {"SILKMILL_URL": proxy.url, "SILKMILL_TOKEN": ours.client.server.token}
    command = [sys.executable, "-m", "silkmill", "deploy", str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchFailed(f"silkmill deploy ended with {done.returncode}: {done.stderr}")


def _write(folder: Path, files: int) -> Path:
    """A project of so many files, spider.toml among them; that of the middle size is returned."""
    chance = random.Random(1)
    sizes = [int(chance.lognormvariate(0, SPREAD) * MEDIAN_BYTES) for _ in range(files - 1)]
    written = []
    for number, size in enumerate(sizes):
        file = folder / "shop" / f"site_{number // 25:02}" / "spiders" / f"category_{number:04}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(_content(max(size, LEAST_BYTES), str(number)))
        written.append(file)
    (folder / "spider.toml").write_text('name = "shop"\ncommand = ["true"]\n')
    return sorted(written, key=lambda file: file.stat().st_size)[len(written) // 2]


def _content(size: int, seed: str) -> bytes:
    """Text of so many bytes that is like no other."""
    chance = random.Random(seed)
    lines = (f"# {chance.getrandbits(4 * LINE):0{LINE}x}\n" for _ in range(size // LINE + 1))
    return "".join(lines).encode()[:size]
