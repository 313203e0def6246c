"""A task with an open attempt over a real store and bucket, logs to write into it, and faults to inject."""

from __future__ import annotations

import random
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from silkmill.adapters.bucket import memory_bucket
from silkmill.adapters.store.memory import MemoryStore
from silkmill.domain.attempt import AttemptRef
from silkmill.domain.errors import Conflict
from silkmill.domain.events import Accept, Assign, Event, Exit, Finish, GiveBack, Lose, Start
from silkmill.domain.outcome import Verdict
from silkmill.domain.task import Task, advance
from silkmill.master.logs import Hit, LogReader, LogUpkeep, LogWriter, Wanted
from silkmill.ports.bucket import Bucket
from silkmill.ports.store import Store
from silkmill.protocol.logframe import LogFramer, system_line
from silkmill.runtime.expressions import Expressions

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = NOW + timedelta(hours=1, seconds=1)
SESSION = "session-1"
TASK_ID = "0197f000-0000-7000-8000-000000000001"
REF = AttemptRef(TASK_ID, 1)


class Crash(Exception):
    """The process died here."""


@dataclass
class Faults:
    """Counts the calls that cross it and dies at one of them, before or after it took effect."""

    at: int = 0
    after: bool = False
    calls: int = 0

    def over(self, target: Any) -> Any:
        return _Faulty(target, self)


class _Faulty:
    def __init__(self, target: Any, faults: Faults) -> None:
        self._target, self._faults = target, faults

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method, faults = getattr(self._target, name), self._faults

        async def call(*arguments: Any, **named: Any) -> Any:
            faults.calls += 1
            dies = faults.calls == faults.at
            if dies and not faults.after:
                raise Crash(name)
            result = await method(*arguments, **named)
            if dies:
                raise Crash(name)
            return result

        return call


@dataclass
class CountingBucket:
    """Passes everything on and counts the bytes that were read."""

    bucket: Bucket
    read: int = 0
    reads: int = 0

    async def put(self, name: str, data: bytes) -> None:
        await self.bucket.put(name, data)

    async def put_stream(self, name: str, pieces: AsyncIterator[bytes]) -> None:
        await self.bucket.put_stream(name, pieces)

    async def get(self, name: str) -> bytes:
        return self._count(await self.bucket.get(name))

    async def get_range(self, name: str, start: int, length: int) -> bytes:
        return self._count(await self.bucket.get_range(name, start, length))

    async def size(self, name: str) -> int:
        return await self.bucket.size(name)

    async def names(self, prefix: str) -> list[str]:
        return await self.bucket.names(prefix)

    async def delete(self, names: list[str]) -> None:
        await self.bucket.delete(names)

    def _count(self, data: bytes) -> bytes:
        self.read += len(data)
        self.reads += 1
        return data


@dataclass
class LogBench:
    """One attempt: append to it, end it, keep it up, read it."""

    store: Store = field(default_factory=MemoryStore)
    bucket: Bucket = field(default_factory=memory_bucket)
    expressions: Expressions = field(default_factory=Expressions)
    changes: int = 0

    def __post_init__(self) -> None:
        self.restart()

    def restart(self, faults: Faults | None = None) -> None:
        """A new master: nothing is remembered. `faults` strike what it writes, not what it reads for us."""
        store: Any = faults.over(self.store) if faults else self.store
        bucket: Any = faults.over(self.bucket) if faults else self.bucket
        self._swap = store.swap
        self.writer = LogWriter(store, bucket, self.change)
        self.upkeep = LogUpkeep(store, bucket, self.change)
        self.reader = LogReader(self.store, self.bucket, self.expressions)

    async def change(self, task_id: str, decide: Callable[[Task], Task | None]) -> Task:
        while True:
            old = await self.task(task_id)
            new = decide(old)
            if new is None:
                return old
            self.changes += 1
            try:
                return await self._swap(old, _signed(new))
            except Conflict:
                continue

    async def task(self, task_id: str = TASK_ID) -> Task:
        task = await self.store.task(task_id)
        assert task is not None
        return task

    async def open(self) -> None:
        await self.store.insert_tasks([Task(TASK_ID, "default", "news", "v1", created_at=NOW, order=1)])
        await self.claim()

    async def claim(self) -> None:
        """A new attempt, running."""
        task = await self.task()
        await self.store.claim(task, _signed(advance(task, Assign("node", SESSION, NOW))))
        for event in (Accept(), Start(1, NOW)):
            await self._advance(event)

    async def give_back(self, *, lost: bool = False) -> None:
        if lost:
            await self._advance(Lose("lost: node node came back without it"))
        await self._advance(GiveBack("lost: node node came back without it", NOW, lost=lost))

    async def close(self) -> None:
        """End the attempt, unless that was done before a crash."""
        if (await self.task()).attempt is not None:
            await self._advance(Exit())
            await self._advance(Finish(Verdict("exit", None), NOW))

    async def _advance(self, event: Event) -> None:
        task = await self.task()
        await self.store.swap(task, _signed(advance(task, event)))

    async def append(self, offset: int, data: bytes, *, log_cap: int = 0) -> int:
        task = await self.task()
        ref = task.ref or REF
        return await self.writer.append(task, ref, SESSION, offset, data, log_cap=log_cap)

    async def append_all(self, log: bytes, batch: int, *, log_cap: int = 0) -> None:
        """Ship the rest of `log` in batches, as an agent does that asks where to go on."""
        offset = (await self.task()).positions.log_offset
        while offset < len(log):
            offset = await self.append(offset, log[offset : offset + batch], log_cap=log_cap)

    async def keep_up(self, now: datetime) -> None:
        await self.upkeep.upkeep(await self.task(), now)

    async def gap(self) -> tuple[int, int] | None:
        task = await self.task()
        return task.attempt.log_gap if task.attempt else task.history[0].log_gap

    async def log(self) -> bytes:
        return b"".join([page.data async for page in self.reader.pages(await self.task(), 1)])

    async def hits(self, wanted: Wanted, offset: int = 0) -> list[Hit]:
        found = self.reader.search(await self.task(), 1, wanted, offset=offset)
        return [hit async for some in found for hit in some.hits]

    async def raw(self, tag: bytes) -> bytes:
        return b"".join([data async for data in self.reader.raw(await self.task(), 1, tag)])


def _signed(task: Task) -> Task:
    return replace(task, change_id=secrets.token_hex(8))


def sample_log(size: int, seed: int = 1) -> tuple[bytes, bytes, bytes]:
    """About `size` bytes of frames with everything that is awkward, and what stdout and stderr were."""
    chance = random.Random(seed)
    framers = {b"stdout": LogFramer(b"stdout"), b"stderr": LogFramer(b"stderr")}
    streams = {b"stdout": bytearray(), b"stderr": bytearray()}
    log = bytearray(system_line("the spider starts", 1))
    time_ns = 1_700_000_000_000_000_000
    while len(log) < size:
        tag = chance.choice(list(framers))
        data = chance.choice(_AWKWARD) + chance.randbytes(chance.randrange(60)) + b"\n" * chance.randrange(2)
        time_ns += chance.randrange(10**9)
        streams[tag] += data
        log += b"".join(framers[tag].feed(data, time_ns))
    for framer in framers.values():
        log += framer.finish(time_ns)
    log += system_line("the spider ended", time_ns)
    return bytes(log), bytes(streams[b"stdout"]), bytes(streams[b"stderr"])


_AWKWARD = (
    b"",
    b"\0\0",
    b"\xff\xfe\x80",
    b"a line\r\n",
    b"\n\n\n",
    "zeilenlänge ü 中文\n".encode(),
    b" F P ",
)


def counted_lines(size: int, at_once: int = 10_000) -> Iterator[bytes]:
    """Pieces of a long log: numbered lines of 190 bytes with a few words that change."""
    first = total = 0
    framer = LogFramer(b"stdout")
    while total < size:
        lines = b"".join([_LINE % (n, n * 7919 % 9973, n * 31 % 1009) for n in range(first, first + at_once)])
        piece = b"".join(framer.feed(lines, 1_700_000_000_000_000_000 + first * 10**4))
        first, total = first + at_once, total + len(piece)
        yield piece


_LINE = (
    b"INFO scraped page %08d of the catalogue: item %d, category %d, "
    b"<200 https://example.org/catalogue/page-of-this-shop?with=parameters>\n"
)
