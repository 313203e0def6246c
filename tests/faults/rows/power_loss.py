"""F16: the power fails. From a recording of what the engine wrote and synced, and of what it told, the data
folder is rebuilt as it would be found afterwards, for many moments and with more or less luck."""

from __future__ import annotations

import hashlib
import itertools
import random
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.engine.server import Server, spider_folder, wait_for
from tests.faults.board import Profile, Result, Row
from tests.faults.chatter import Chatter, check_complete, deploy_chatter, start_chatters
from tests.faults.checker import Evidence
from tests.faults.disk import NAMING, Disk
from tests.faults.inodes import Some, everything, nothing
from tests.faults.recovered import DATABASE, check_recovered
from tests.faults.told import SENDS, Told
from tests.faults.trace import Call, moments, recorder, wait_recorded

LOUD_SECONDS, LOUD_RATE = 5.0, 5000
"""More than 1 MiB of log: chunks come to the bucket, and a merged object."""
LASTING = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-journal", "token", "token.new", "node", "node.new")


def power_loss(folder: Path, profile: Profile, result: Result) -> None:
    chance, losses = profile.random(), _Losses()
    for number in range(profile.pick(short=1, full=5)):
        load = _record(folder / str(number))
        _check_dishonest_disk(load)
        points = _points(load, profile.pick(short=12, full=100), chance)
        for told in _fail_at_each(load, points, chance, losses):
            losses.told += told
            result.passed()
        if profile.full:
            result.recovery_seconds.append(_goes_on(load, chance))
    assert losses.unsynced > 0 and losses.told > 0, losses
    result.figures = {
        "acknowledged lost": 0,
        "facts checked": losses.told,
        "unsynced changes at the failures": losses.unsynced,
        "calls recorded": len(load.calls) // 2,
    }


@dataclass(slots=True)
class _Losses:
    """Over all failures: facts that had been told, changes that were not synced."""

    told: int = 0
    unsynced: int = 0


@dataclass(frozen=True, slots=True)
class _Load:
    """What ran, and each of its calls twice: at its begin and at its end."""

    data: Path
    calls: list[Call]
    chatters: list[Chatter]

    def disk(self) -> Disk:
        return Disk(self.data, _is_modelled)


def _is_modelled(path: Path) -> bool:
    """The bucket, and what else must last. Not the `-shm` of the database: whoever opens it next makes it."""
    return path.parts[0] in ("bucket", *LASTING)


def _record(folder: Path) -> _Load:
    """From the first start to an orderly stop, so that no call is cut and the model can be compared."""
    folder.mkdir()
    data, recording = folder / "data", folder / "recording"
    with Server(data, max_runners=4, under=recorder(recording)) as server:
        with _listening(server):
            chatters = _work(server, folder)
        assert server.stop() == 0
    wait_recorded(recording, server.pid)
    return _Load(data, list(moments(recording)), chatters)


def _work(server: Server, folder: Path) -> list[Chatter]:
    """A loud task, a quiet one, many short ones and deploys, until all are finished and the log is merged."""
    deploy_chatter(server, folder)
    chatters = start_chatters(server, folder, 1, LOUD_SECONDS, LOUD_RATE)
    chatters += start_chatters(server, folder, 1, LOUD_SECONDS, rate=300)
    for number in itertools.count():
        chatters += start_chatters(server, folder, 1, seconds=0.1)
        server.deploy(spider_folder(folder / f"spiders-{number}", "quick", f"print({number})\n"))
        if server.task(chatters[0].task_id)["state"] == "finished":
            break
    for chatter in chatters:
        server.wait(chatter.task_id, "finished")
    wait_for(lambda: _merged(server.data, chatters[0]), "the log to be merged")
    return chatters


def _merged(data: Path, chatter: Chatter) -> bool:
    return bool(Evidence(data).task(chatter.task_id).accepted["log_object"])


@contextmanager
def _listening(server: Server) -> Iterator[None]:
    """Somebody follows the events, somebody asks for every task: what they are told is recorded, too."""
    stop = threading.Event()
    server.states_of("")

    def ask() -> None:
        while not stop.wait(0.05):
            server.call("GET", "/tasks?limit=200")

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _check_dishonest_disk(load: _Load) -> None:
    """The check can fail: on a disk that stops to sync halfway and says it did, it must find what is lost."""
    disk, told = load.disk(), Told()
    for number, call in enumerate(load.calls):
        disk.honest = number < len(load.calls) // 2
        disk.play(call)
        told.play(call)
    left = disk.fail(load.data.parent / "dishonest", nothing)
    try:
        check_recovered(left, told, load.chatters)
    except (AssertionError, OSError, sqlite3.DatabaseError):
        return
    raise AssertionError("a disk that lost half of the work was found complete")


def _points(load: _Load, count: int, chance: random.Random) -> list[int]:
    """A quarter anywhere, a quarter right when something is told, the rest where a blob or a piece of a log
    gets its name or is about to."""
    blobs, logs = load.data / "bucket" / "blobs", load.data / "bucket" / "logs"
    pools: list[Callable[[Call], bool]] = [
        lambda call: True,
        lambda call: call.name in SENDS and call.target.startswith("socket:"),
        lambda call: call.name in NAMING and any(path.is_relative_to(blobs) for path in call.paths),
        lambda call: call.name in NAMING and any(path.is_relative_to(logs) for path in call.paths),
    ]
    chosen = [[at for at, call in enumerate(load.calls, 1) if fits(call)] for fits in pools]
    return sorted(chance.choice(chosen[number % len(chosen)]) for number in range(count))


def _fail_at_each(load: _Load, points: list[int], chance: random.Random, losses: _Losses) -> Iterator[int]:
    """Play the recording once; at each point see what no luck leaves, then what some luck leaves."""
    disk, told, played = load.disk(), Told(), 0
    for point in points:
        for call in load.calls[played:point]:
            disk.play(call)
            told.play(call)
        played = point
        losses.unsynced += disk.unsynced()
        for luck in (nothing, Some(chance)):
            left = disk.fail(load.data.parent / "left", luck)
            yield check_recovered(left, told, load.chatters)
            shutil.rmtree(left)
    for call in load.calls[played:]:
        disk.play(call)
    _check_model(load, disk)


def _goes_on(load: _Load, chance: random.Random) -> float:
    """The engine starts on what a failure in the middle leaves, and finishes every task, some once more. The
    answer: seconds until it is ready."""
    disk, told = load.disk(), Told()
    for call in load.calls[: len(load.calls) // 2]:
        disk.play(call)
        told.play(call)
    left = disk.fail(load.data.parent / "goes-on", Some(chance))
    began = time.monotonic()
    with Server(left, max_runners=4) as server:
        ready = time.monotonic() - began
        attempts = {task_id: server.wait(task_id, "finished", seconds=120) for task_id in told.tasks}
    for chatter in load.chatters:
        if chatter.task_id in attempts:
            check_complete(Evidence(left), chatter, attempts[chatter.task_id]["attempt"])
    return ready


def _check_model(load: _Load, disk: Disk) -> None:
    """Were everything synced, the model would be the real folder: no call is missing in it."""
    left = disk.fail(load.data.parent / "model", everything)
    assert _contents(left) == _contents(load.data), "the model differs from the real folder"


def _contents(folder: Path) -> dict[Path, str]:
    """The hash of each file that is modelled."""
    below = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in below.items()
        if _is_modelled(name)
    }


ROW = Row(
    "F16",
    "power loss at random moments, unsynced writes and names lost in part",
    "the database is sound; every task, end, item and byte that was told is there",
    power_loss,
    needs=("strace",),
)
