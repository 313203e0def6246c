"""S9: archives that slip out, link, lie and explode; each is refused whole by `silkmill deploy`."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.engine.server import Server
from tests.faults.archives.names import ESCAPED
from tests.faults.archives.tars import hostile_tars
from tests.faults.archives.zips import hostile_zips, zip_of
from tests.faults.board import Profile, Result, Row

CPU_SECONDS = 2.0
IN_SHORT = (
    *("slip.zip", "link.egg", "slip.whl", "42.zip", "50-mib.zip", "longer-than-it-says.zip"),
    *("link-then-through.tar.gz", "hard-link.tar.gz", "twins.tar.gz", "negative-offset.tar.gz"),
    *("many-members.zip", "many-members.tar.gz", "late-link.tar.gz"),
)


def hostile_archives(folder: Path, profile: Profile, result: Result) -> None:
    members = profile.pick(short=20_000, full=1_000_000)
    corpus = hostile_tars(members) | hostile_zips(members)
    place = folder / "1" / "2" / "3" / "tmp"
    place.mkdir(parents=True)
    slowest = 0.0
    with Server(folder / "data", max_runners=1) as server:
        for name in profile.pick(short=IN_SHORT, full=tuple(corpus)):
            slowest = max(slowest, _refused(server, folder, place, name, corpus[name]))
            result.passed()
        assert server.call("GET", "/spiders")["spiders"] == []
        _deploys(server, folder, place)  # what is refused is the archive, not every archive
    result.figures = {"escapes": 0, "slowest, s CPU": round(slowest, 2)}


def _refused(server: Server, folder: Path, place: Path, name: str, build: Callable[[], bytes]) -> float:
    """Answers with the CPU seconds it took, the start of Python among them."""
    archive = folder / name
    archive.write_bytes(build())
    before = _cpu_of_children()
    ended = _deploy(server, archive, place)
    took = _cpu_of_children() - before
    archive.unlink()
    assert ended.returncode == 2, f"{name}: {ended}"
    assert "is not deployed: " in ended.stderr, f"{name}: {ended}"
    assert "Traceback" not in ended.stderr, f"{name}: {ended}"
    assert took <= CPU_SECONDS, f"{name} took {took:.2f} s of CPU"
    left = [path for path in (folder / "1").rglob("*") if not place.is_relative_to(path)]
    assert not left, f"{name} left {left}"
    assert not (folder / ESCAPED).exists() and not Path("/tmp", ESCAPED).exists(), name
    return took


def _deploys(server: Server, folder: Path, place: Path) -> None:
    archive = folder / "good.zip"
    archive.write_bytes(zip_of(("main.py", b"print()\n")))
    ended = _deploy(server, archive, place)
    assert ended.returncode == 0, ended
    assert [spider["name"] for spider in server.call("GET", "/spiders")["spiders"]] == ["packed"]
    assert list(place.iterdir()) == []


def _deploy(server: Server, archive: Path, place: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "silkmill", "deploy", str(archive), "--data", str(server.data)]
    return subprocess.run(
        command, env=os.environ | {"TMPDIR": str(place)}, cwd=place, capture_output=True, text=True
    )


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


ROW = Row(
    "S9",
    "archives with ways out, links, devices, twins, lying sizes, bombs and a million members",
    "refused whole within 2 s of CPU, nothing outside, no version",
    hostile_archives,
)
