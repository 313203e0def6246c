"""Nothing is dropped: a full spool or a full disk slows the spider down, and memory stays small."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from runner_driver import Attempt, RunnerDriver, wait_until

from silkmill.protocol import attemptdir, logframe
from silkmill.runner.outcome import OutcomeFile, blank_outcome

MIB = 1 << 20
LINES = """
import os, sys
lines = [b"%08d %s\\n" % (n, b"x" * 90) for n in range(int(sys.argv[1]))]
for start in range(0, len(lines), 50):
    os.write(1, b"".join(lines[start:start + 50]))
"""


def expected_lines(count: int) -> bytes:
    return b"".join(b"%08d %s\n" % (n, b"x" * 90) for n in range(count))


def files_of(attempt: Attempt, stream: attemptdir.Stream) -> list[attemptdir.Segment]:
    return attemptdir.list_segments(str(attempt.directory), stream)


class Shipper(threading.Thread):
    """Plays the agent: takes every closed log segment and unlinks it."""

    def __init__(self, attempt: Attempt) -> None:
        super().__init__()
        self.attempt = attempt
        self.taken = b""
        self.most_on_disk = 0
        self.stop = threading.Event()

    def run(self) -> None:
        while not self.stop.wait(0.002):
            segments = files_of(self.attempt, "log")
            self.most_on_disk = max(self.most_on_disk, sum(segment.size for segment in segments))
            for segment in segments[:-1]:
                assert segment.first == len(self.taken)
                self.taken += Path(segment.path).read_bytes()
                Path(segment.path).unlink()


def test_segments_are_cut_at_frame_ends(runner: RunnerDriver) -> None:
    attempt = runner.run([sys.executable, "-c", LINES, "200000"])
    segments = files_of(attempt, "log")
    assert [segment.first for segment in segments] == [0, *(segment.end for segment in segments[:-1])]
    assert len(segments) == 4
    for segment in segments[:-1]:
        assert 8 * MIB <= segment.size < 9 * MIB
        assert Path(segment.path).read_bytes().endswith(b"\n")
    assert attempt.output() == expected_lines(200_000)
    assert attempt.outcome()["log_size"] == segments[-1].end


def test_item_segments_are_cut_at_records(runner: RunnerDriver) -> None:
    source = """
for n in range(20):
    print('{"type":"INSERT_DATA","payload":{"n":%d,"text":"%s"}}' % (n, "y" * 1000000))
"""
    attempt = runner.python(source)
    segments = files_of(attempt, "items")
    assert len(segments) == 3
    assert all(Path(segment.path).read_bytes().endswith(b"}\n") for segment in segments)
    assert attempt.items().count(b"\n") == 20


def test_a_full_spool_slows_the_spider(runner: RunnerDriver) -> None:
    attempt = runner.begin([sys.executable, "-c", LINES, "200000"], limits={"spool": 2 * MIB})
    shipper = Shipper(attempt)
    shipper.start()
    runner.wait_event("done")
    shipper.stop.set()
    shipper.join()
    log = shipper.taken + attempt.log()
    assert logframe.stream_bytes(log, logframe.STDOUT) == expected_lines(200_000)
    assert attempt.outcome()["log_size"] == len(log)
    assert shipper.most_on_disk < 2 * MIB + 2 * MIB  # the limit, and what the pipe held at the end


def wait_blocked(attempt: Attempt) -> int:
    """Until the log has not grown for a while; returns its size."""
    sizes: list[int] = []

    def unchanged() -> bool:
        sizes.append(sum(segment.size for segment in files_of(attempt, "log")))
        return len(sizes) > 20 and sizes[-1] == sizes[-20] > 0

    wait_until(unchanged, "a log that does not grow")
    return sizes[-1]


def test_the_clocks_stand_still_while_the_spool_is_full(runner: RunnerDriver) -> None:
    limits = {"spool": MIB, "runtime": 0.6, "stall": 0.6}
    attempt = runner.begin([sys.executable, "-c", LINES, "40000"], limits=limits)
    wait_blocked(attempt)
    quiet = threading.Event()
    quiet.wait(1.0)  # longer than both limits
    shipper = Shipper(attempt)
    shipper.start()
    runner.wait_event("done")
    shipper.stop.set()
    shipper.join()
    outcome = attempt.outcome()
    assert (outcome["limit"], outcome["exit_code"]) == (None, 0)
    assert logframe.stream_bytes(shipper.taken + attempt.log(), logframe.STDOUT) == expected_lines(40_000)


def test_a_spider_held_by_a_full_spool_can_be_stopped(runner: RunnerDriver) -> None:
    source = """
import os, signal, sys
def leave(*_): os.write(1, b"last words\\n"); sys.exit(5)
signal.signal(signal.SIGTERM, leave)
written = 0
while True:
    written += os.write(1, b"x" * 99 + b"\\n")
"""
    attempt = runner.begin([sys.executable, "-c", source], limits={"spool": MIB})
    size = wait_blocked(attempt)
    assert size < 2 * MIB
    runner.send(op="cancel", force=False)
    runner.wait_event("done")
    assert attempt.output().endswith(b"\nlast words\n")
    assert attempt.outcome()["exit_code"] == 5
    assert size < attempt.outcome()["log_size"] < 10 * MIB


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small tmpfs")
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "silkmill-test", place], check=True)
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.mark.root
@pytest.mark.parametrize("limits", [{}, {"runtime": 0.7, "stall": 0.7}])
def test_a_full_disk_delays_and_loses_nothing(
    runner: RunnerDriver, small_disk: Path, limits: dict[str, float]
) -> None:
    runner.attempts = small_disk
    filler = small_disk / "filler"
    filler.write_bytes(b"0" * 7 * MIB)
    source = """
print('{"type":"INSERT_DATA","payload":{"n":1}}')
for n in range(9000): print(n, "z" * 99)
print('{"type":"ERROR","payload":{"class":"spider","message":"m","fatal":true}}', end="", flush=True)
raise ValueError("the end")
"""
    attempt = runner.begin([sys.executable, "-c", source], limits=limits)
    size = wait_blocked(attempt)
    threading.Event().wait(1.0)
    assert runner.process.poll() is None
    assert not (attempt.directory / "outcome.json").exists()
    assert sum(segment.size for segment in files_of(attempt, "log")) == size
    filler.unlink()
    runner.wait_event("done")
    assert attempt.output() == b"".join(b"%d %s\n" % (n, b"z" * 99) for n in range(9000))
    assert attempt.items() == b'{"n":1}\n'
    outcome = attempt.outcome()
    assert (outcome["exit_code"], outcome["limit"]) == (1, None)
    assert outcome["traceback"] is not None
    assert outcome["traceback"].endswith("ValueError: the end")
    assert (outcome["items_count"], outcome["errors"]) == (1, 1)
    assert outcome["fatal"] == {"class": "spider", "message": "m"}
    assert outcome["log_size"] == len(attempt.log())


@pytest.mark.root
def test_a_spider_on_a_full_disk_can_be_killed(runner: RunnerDriver, small_disk: Path) -> None:
    runner.attempts = small_disk
    (small_disk / "filler").write_bytes(b"0" * 7 * MIB)
    attempt = runner.begin(["yes", "x" * 99])
    wait_blocked(attempt)
    runner.send(op="cancel", force=True)
    runner.wait_event("exited")
    before = runner.cpu_seconds()
    threading.Event().wait(0.5)
    assert runner.cpu_seconds() - before < 0.1, "it waits for the disk without spinning"
    (small_disk / "filler").unlink()
    runner.wait_event("done")
    assert attempt.outcome()["signal"] == 9
    assert attempt.system_lines()[-1] == "stopped by cancel, killed by signal 9, sent by us"


@pytest.mark.root
def test_no_room_for_an_outcome_is_a_refusal(runner: RunnerDriver, small_disk: Path) -> None:
    runner.attempts = small_disk
    attempt = runner.make_attempt(["true"])
    filler = (small_disk / "filler").open("wb", buffering=0)
    with filler, pytest.raises(OSError, match="No space left"):
        while True:
            filler.write(b"0" * 4096)
    runner.send(op="run", dir=str(attempt.directory))
    assert "No space left" in runner.wait_event("refused")["why"]
    (small_disk / "filler").unlink()
    assert runner.run(["true"]).outcome()["exit_code"] == 0


@pytest.mark.root
def test_an_outcome_longer_than_its_reserve_waits_for_room(small_disk: Path) -> None:
    file = OutcomeFile(str(small_disk))
    outcome = blank_outcome() | {"traceback": "x" * 60_000}
    filler = (small_disk / "filler").open("wb", buffering=0)
    with filler, pytest.raises(OSError, match="No space left"):
        while True:
            filler.write(b"0" * 4096)
    for _ in range(2):
        with pytest.raises(OSError, match="No space left"):
            file.write(outcome)  # type: ignore[arg-type]
        assert attemptdir.read_outcome(str(small_disk)) is None
    (small_disk / "filler").unlink()
    file.write(outcome)  # type: ignore[arg-type]
    assert attemptdir.read_outcome(str(small_disk)) == outcome


def test_a_line_of_100_mb_takes_little_memory(runner: RunnerDriver) -> None:
    runner.run(["true"])
    before = runner.peak_kib()
    source = "import os\nfor n in range(1000): os.write(1, bytes([65 + n % 26]) * 100000)"
    attempt = runner.python(source)
    said = b"".join(bytes([65 + n % 26]) * 100000 for n in range(1000))
    assert attempt.output() == said
    frames = list(logframe.parse_frames(attempt.log()))[:-1]
    assert {len(frame.text) for frame in frames[:-1]} == {logframe.TEXT_LIMIT}
    assert all(frame.partial for frame in frames)
    assert runner.peak_kib() - before < 32 * 1024


def test_a_flood_of_empty_lines_takes_little_memory(runner: RunnerDriver) -> None:
    runner.run(["true"])
    before = runner.peak_kib()
    attempt = runner.python("import os\nfor _ in range(16): os.write(1, b'\\n' * 65536)")
    assert attempt.output() == b"\n" * MIB
    assert runner.peak_kib() - before < 32 * 1024
