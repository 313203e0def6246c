"""Searching by level, field and time: the same lines at every age of a log, from anywhere, backwards too."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

import pytest
from log_bench import LATER, NOW, LogBench

from silkmill.master.logs import Wanted, grams, parse_needle, search, since, upkeep
from silkmill.master.logs.layout import Log
from silkmill.master.logs.sieve import ends_line
from silkmill.protocol.logframe import LogFramer, frame_line, parse_frame, rfc3339, system_line
from silkmill.protocol.loglevel import Level, Levels

START_NS = 1_700_000_000_000_000_000
_TRACEBACK = b"Traceback (most recent call last):\n  File x\n    x = 1\n\nKeyError: 'page'\n"
_TEXTS = (
    b"hello\n",
    b"INFO:root:an error page\n",
    b"2026-01-01 00:00:00 [news] WARNING: slow\n",
    b"ERROR:root:failed\n" + _TRACEBACK,
    b"INFO:root:then it crashes\n" + _TRACEBACK,
    b"[critical] stop\n    and why\n",
    b"\xff\x00\n",
    b"ERROR " + b"long " * 20_000 + b"\n",
)


def _message(chance: random.Random) -> bytes:
    fields = {"site": chance.choice(["example", "x", "größe"]), "page": chance.randrange(3)}
    level = chance.choice(["debug", "info", "WARN", "error", "loud", None])
    message = "long " * chance.choices([1, 20_000], [30, 1])[0]
    value = {"level": level, "message": message, "fields": fields}
    return json.dumps(value, ensure_ascii=chance.random() < 0.5).encode()


def _log(frames: int) -> bytes:
    chance, time_ns = random.Random(7), START_NS
    framers = {b"stdout": LogFramer(b"stdout"), b"stderr": LogFramer(b"stderr")}
    log = bytearray(system_line("ERROR is no level of ours", time_ns))
    for _ in range(frames):
        time_ns += chance.randrange(10**9)
        if chance.random() < 0.3:
            log += frame_line(b"stdout/json", _message(chance), time_ns)
        else:
            text = chance.choices(_TEXTS, [20, 20, 5, 1, 1, 1, 5, 0.1])[0]
            log += b"".join(framers[chance.choice([b"stdout", b"stderr"])].feed(text, time_ns))
    return bytes(log)


LOG = _log(400)
FRAMES = [frame + b"\n" for frame in LOG.split(b"\n")[:-1]]
PIECES = {sum(map(len, FRAMES[: number + 1])) for number, frame in enumerate(FRAMES) if not ends_line(frame)}
"""Offsets of frames that go on with a line. What begins there is given whole."""
MIDDLE = rfc3339(START_NS + 100 * 10**9).encode()
WANTED = [
    Wanted(level=Level.ERROR),
    Wanted(level=Level.WARNING),
    Wanted(level=Level.CRITICAL),
    Wanted(level=Level.DEBUG),
    Wanted(b"stderr", level=Level.ERROR),
    Wanted(needle=parse_needle("KeyError"), level=Level.ERROR),
    Wanted(needle=parse_needle("l.ng"), level=Level.WARNING),
    Wanted(where=(("site", "x"),)),
    Wanted(where=(("site", "example"), ("page", "1"))),
    Wanted(where=(("site", "größe"),)),
    Wanted(level=Level.ERROR, where=(("site", "x"),)),
    Wanted(level=Level.CRITICAL, where=(("site", "x"),)),
    Wanted(since=MIDDLE),
    Wanted(b"stdout", level=Level.ERROR, since=MIDDLE),
    Wanted(since=rfc3339(START_NS + 10**15).encode()),
    Wanted(since=rfc3339(0).encode(), needle=b"hello"),
]


def _expected(wanted: Wanted) -> list[bytes]:
    """By a plain reading of the whole log."""
    levels, pieces, lines = {b"stdout": Levels(), b"stderr": Levels()}, [], []
    for line in FRAMES:
        frame = parse_frame(line[:-1])
        assert frame is not None
        found, level, fields = [line], None, None
        if frame.tag == b"stdout/json":
            pieces.append(line)
            if frame.partial:
                continue
            value = json.loads(b"".join(piece.split(b" ", 3)[3][:-1] for piece in pieces))
            found, pieces, fields = pieces, [], value["fields"]
            level = {"WARN": 3, "error": 4, "debug": 1, "info": 2, "loud": None, None: 2}[value["level"]]
        elif frame.tag in levels:
            level = levels[frame.tag].of(frame.text, partial=frame.partial)
        if (wanted.level is None or (level or 0) >= wanted.level) and all(
            fields is not None and str(fields[name]) == value for name, value in wanted.where
        ):
            lines += [line for line in found if _fits(line, wanted)]
    return lines


def _fits(line: bytes, wanted: Wanted) -> bool:
    text = line.split(b" ", 3)[3][:-1]
    needle = wanted.needle
    return (
        (wanted.stream is None or line.split(b" ")[1].startswith(wanted.stream))
        and (wanted.since is None or line[:30] >= wanted.since)
        and (needle is None or (needle in text if isinstance(needle, bytes) else bool(needle.search(text))))
    )


@pytest.fixture(params=["live", "closed", "merged", "chunks gone"])
async def stored(
    request: pytest.FixtureRequest, small_sizes: None, bench: LogBench, monkeypatch: pytest.MonkeyPatch
) -> LogBench:
    monkeypatch.setattr(search, "WINDOW_BYTES", 3000)
    monkeypatch.setattr(search, "STRETCH_BYTES", 5000)
    monkeypatch.setattr(since, "NEAR_BYTES", 1000)
    monkeypatch.setattr(upkeep, "BLOCK_BYTES", 70_000)  # whole frames, as in earnest
    monkeypatch.setattr(grams, "FEWEST_BLOCKS", 2)
    await bench.append_all(LOG, 100_000)
    if request.param != "live":
        await bench.close()
    if request.param in ("merged", "chunks gone"):
        await bench.keep_up(NOW)
    if request.param == "chunks gone":
        await bench.keep_up(LATER)
    return bench


@pytest.mark.parametrize("wanted", WANTED, ids=str)
async def test_exactly_the_wanted_lines(stored: LogBench, wanted: Wanted) -> None:
    expected = _expected(wanted)
    hits = await stored.hits(wanted)
    assert [hit.line for hit in hits] == expected
    assert all(LOG[hit.offset :].startswith(hit.line) for hit in hits)
    for lines in (1, 3, 10_000):
        last = await stored.reader.last(await stored.task(), 1, wanted, lines)
        assert last == hits[-lines:]
    for hit in hits[:: max(1, len(hits) // 10)]:
        if hit.offset not in PIECES:
            assert await stored.hits(wanted, offset=hit.offset) == hits[hits.index(hit) :]


def test_the_expectation_is_not_empty() -> None:
    assert [str(wanted) for wanted in WANTED if not _expected(wanted)] == [str(WANTED[11]), str(WANTED[14])]


@pytest.mark.parametrize("wanted", WANTED[:6], ids=str)
async def test_pages_hold_the_wanted_lines(stored: LogBench, wanted: Wanted) -> None:
    task = await stored.task()
    assert b"".join([data async for data in _pages(stored, wanted, 70_000)]) == b"".join(_expected(wanted))
    assert (await stored.reader.page(task, 1, Wanted(since=MIDDLE), 0, 10**6)).data.startswith(
        _expected(Wanted(since=MIDDLE))[0]
    )


async def _pages(bench: LogBench, wanted: Wanted, limit: int) -> Iterator[bytes]:  # type: ignore[misc]
    task, offset = await bench.task(), 0
    while True:
        page = await bench.reader.page(task, 1, wanted, offset, limit)
        yield page.data
        if page.next_offset == offset:
            return
        offset = page.next_offset


async def test_a_line_goes_on_behind_the_border_of_a_block(
    bench: LogBench, small_sizes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What continues it is found though its own block has no bad line; so is a message without a level."""
    monkeypatch.setattr(upkeep, "BLOCK_BYTES", 70_000)
    long = b"z" * 60_000 + b"\n"
    texts = (long, b"ERROR:root:failed\n", b"  details " + long, b"hello\n", long)
    frames = [b"".join(LogFramer(b"stdout").feed(text, START_NS)) for text in texts]
    frames.append(frame_line(b"stdout/json", b'{"message": "m"}', START_NS))
    log = b"".join(frames)
    await bench.append_all(log, 100_000)
    await bench.close()
    await bench.keep_up(NOW)
    opened = await Log.open(bench.store, bench.bucket, await bench.task(), 1)
    assert opened.merged is not None
    begins = [block.start for block in opened.merged.blocks]
    assert begins == [0, len(frames[0] + frames[1]), len(b"".join(frames[:4]))]
    assert [block.worst for block in opened.merged.blocks] == [Level.ERROR, 0, Level.INFO]
    for wanted in (Wanted(level=Level.ERROR), Wanted(level=Level.ERROR, needle=b"z")):
        expected = [frame for frame in frames[1:3] if wanted.needle is None or b"z" in frame]
        assert [hit.line for hit in await bench.hits(wanted)] == expected
        assert [hit.line for hit in await bench.hits(wanted, offset=begins[1])] == frames[2:3]
        assert [hit.line for hit in await bench.reader.last(await bench.task(), 1, wanted, 9)] == expected
    assert [hit.line for hit in await bench.hits(Wanted(level=Level.INFO))] == [*frames[1:3], frames[5]]


async def test_a_word_behind_the_border_of_a_block_is_of_the_line_before_it(
    bench: LogBench, small_sizes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The block of the bad line has not the word, the block of the word has no bad line. So with a message of
    several frames."""
    monkeypatch.setattr(upkeep, "BLOCK_BYTES", 70_000)
    monkeypatch.setattr(grams, "FEWEST_BLOCKS", 2)
    long = frame_line(b"stdout", b"z" * 59_900, START_NS)
    failed, last = (
        b"".join(LogFramer(b"stderr").feed(text, START_NS))
        for text in (b"ERROR:root:failed\n" + _TRACEBACK[:-16], b"KeyError: 'page'" + b"!" * 10_000 + b"\n")
    )
    value = {"level": "error", "message": "long " * 14_200, "fields": {"place": "example"}}
    head, tail = frame_line(b"stdout/json", json.dumps(value).encode(), START_NS).splitlines(keepends=True)
    log = b"".join([long, failed, last, long, long, head, tail, long, long, last])
    await bench.append_all(log, 200_000)
    await bench.close()
    await bench.keep_up(NOW)
    opened = await Log.open(bench.store, bench.bucket, await bench.task(), 1)
    assert opened.merged is not None
    blocks = {block.start: block.worst for block in opened.merged.blocks}
    assert blocks[log.index(last)] == 0
    assert blocks[log.index(tail)] < Level.ERROR
    for wanted, expected in (
        (Wanted(level=Level.ERROR, needle=b"KeyError"), [last]),
        (Wanted(level=Level.ERROR, where=(("place", "example"),)), [head, tail]),
    ):
        assert [hit.line for hit in await bench.hits(wanted)] == expected
        assert [hit.line for hit in await bench.reader.last(await bench.task(), 1, wanted, 9)] == expected


async def test_a_line_goes_on_in_the_next_block_of_its_stream(
    bench: LogBench, small_sizes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks without a frame of it are not read, though the stream might go on in each of them."""
    monkeypatch.setattr(upkeep, "BLOCK_BYTES", 70_000)
    out = b"".join(LogFramer(b"stdout").feed(b"z" * 60_000 + b"\n", START_NS))
    failed, details, hello = (
        frame_line(b"stderr", text, START_NS) for text in (b"ERROR failed", b"  details", b"hello")
    )
    other = frame_line(b"stdout", b"ERROR other", START_NS)
    await bench.append_all(failed + out * 4 + details + hello + out * 4 + other + out * 4, 100_000)
    await bench.close()
    await bench.keep_up(NOW)
    wanted, read = Wanted(level=Level.ERROR), []
    async for found in bench.reader.search(await bench.task(), 1, wanted):
        read.append(found.size)
        assert found.size <= 70_000
    assert [hit.line for hit in await bench.hits(wanted)] == [failed, details, other]
    assert len(read) <= 4
    last = await bench.reader.last(await bench.task(), 1, wanted, 9)
    assert [hit.line for hit in last] == [failed, details, other]
