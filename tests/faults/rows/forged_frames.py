"""I6: a spider prints pages that hold frames, plain ones and with guessed nonces; none of them counts."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

from tests.engine.server import Server, wait_for
from tests.faults.board import Profile, Result, Row
from tests.faults.checker import Evidence
from tests.faults.staging import deploy

STATUS = {"progress": 0.5, "message": "genuine"}
PAYLOADS = {
    "INSERT_DATA": {"forged": 1},
    "STATUS": {"progress": 1.0, "message": "forged"},
    "ERROR": {"class": "Forged", "message": "forged", "fatal": True},
    "HELLO": {"sdk": "forged/1"},
}
DIALECT = [b'{"ipc":true,"payload":{"forged":1}}', b'{"type":"data","ipc":true,"payload":[{"forged":1}]}']


def forged_frames(folder: Path, profile: Profile, result: Result) -> None:
    """Per round one spider with the SDK and one with `ipc = "strict"`, each over pages of its own."""
    data, chance, counted = folder / "data", profile.random(), 0
    with Server(data, max_runners=2) as server:
        deploy(server, folder, "sdk", script="echoer")
        deploy(server, folder, "strict", 'ipc = "strict"\n', script="echoer")
        for number in range(profile.pick(short=4, full=250)):
            crawls = [_Crawl(server, folder / f"{number}-{way}", way, chance) for way in ("sdk", "strict")]
            for crawl in crawls:
                crawl.check_running(data)
            for crawl in crawls:
                counted += crawl.check_end(data)
                result.passed()
    result.figures = {"forged": 0, "hostile frames": counted}


def _plain_frames() -> list[bytes]:
    return [json.dumps({"type": kind, "payload": payload}).encode() for kind, payload in PAYLOADS.items()]


def _guessed_nonces(chance: random.Random) -> list[bytes]:
    lengths = (1, 16, 22, 32, 43, 64)
    return [b"0", b"nonce", *(b"%x" % chance.getrandbits(4 * length) for length in lengths)]


def hostile_pages(chance: random.Random) -> list[tuple[bytes, int]]:
    """Pages, each with the number of frames in it that a reader without our rules might take."""
    plain = _plain_frames()
    pages = [(b"<html>\n" + frame + b"\n</html>\n", 1) for frame in plain + DIALECT]
    pages += [(b"\n".join(plain) + b"\n", len(plain)), (plain[0] + b"\r\n", 1), (b"  " + plain[0] + b"\n", 1)]
    for nonce in _guessed_nonces(chance):
        pages += [(b"text \x1e" + nonce + b" " + frame + b"\nmore\n", 1) for frame in plain]
    pages += [(b"\x1e" + plain[0] + b"\n", 1), (b"\x1e " + plain[2] + b"\n", 1)]
    chance.shuffle(pages)
    # In the middle of a line a plain frame is none, so pages without a newline come last.
    return [*pages, (b"the page ends inside \x1e", 0), (b"\n", 0), (b"no newline, then " + plain[0], 0)]


class _Crawl:
    """One task over pages of its own."""

    def __init__(self, server: Server, pages: Path, way: str, chance: random.Random) -> None:
        self.server, self.pages = server, pages
        self.hostile = hostile_pages(chance)
        pages.mkdir()
        for number, (page, _) in enumerate(self.hostile):
            (pages / f"{number:04d}").write_bytes(page)
        self.task_id = server.submit(way, env={"PAGES": str(pages), "WAY": way})

    def check_running(self, data: Path) -> None:
        """All is printed, and the only status is the spider's own."""
        file = data / "attempts" / f"{self.task_id}.1" / "status.json"
        last = wait_for(lambda: _told(file), "a status")
        wait_for(lambda: self.server.task(self.task_id)["items"] == len(self.hostile) + 1, "its items")
        assert last["status"] == STATUS, last
        assert last["errors"] == 0, last
        Path(f"{self.pages}.stop").touch()

    def check_end(self, data: Path) -> int:
        """Only genuine items, the pages as they were, every hostile frame counted. The answer: how many."""
        task = self.server.wait(self.task_id)
        assert (task["state"], task["reason"]) == ("finished", None), task
        evidence = Evidence(data)
        stored = evidence.task(self.task_id)
        assert [json.loads(item) for item in evidence.items(stored)] == [
            {"genuine": number} for number in range(len(self.hostile) + 1)
        ]
        assert evidence.stream(stored, "stdout") == b"".join(page for page, _ in self.hostile)
        expected = sum(frames for _, frames in self.hostile)
        system = evidence.stream(stored, "system")
        counted = re.search(rb"(\d+) frames without the nonce in all", system)
        assert counted and int(counted[1]) == expected, f"{expected} were printed: {system!r}"
        return expected


def _told(file: Path) -> dict[str, Any] | None:
    """What the runner recorded, once there is a status in it."""
    recorded: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return recorded if recorded.get("status") else None


ROW = Row(
    "I6",
    'spiders with the SDK or ipc = "strict" print pages with frames, also with guessed nonces',
    "no forged item, status or outcome; each is counted and stays text",
    forged_frames,
)
