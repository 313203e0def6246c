"""The intake: makes tasks of what is submitted, one at a time or many in one submission."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Protocol

from silkmill.domain.errors import BadInput, NotFound
from silkmill.domain.group import Group
from silkmill.domain.ids import order_of, uuid7
from silkmill.domain.task import Task
from silkmill.master.admission import Admission
from silkmill.master.dispatcher import Dispatcher
from silkmill.master.groups import Groups, encoded, ids_of
from silkmill.master.keys import Keyed, Keys, keyed, with_digest
from silkmill.master.submission import Submission, SubmissionCheck, task_of
from silkmill.master.tasks import Tasks
from silkmill.master.versions import Versions
from silkmill.ports.bucket import Bucket
from silkmill.ports.clock import Clock
from silkmill.ports.store import Store, Stored
from silkmill.runtime.loop import in_turns

MAX_LINES = 100_000
LARGE_BYTES = 1 << 20


class Lines(Protocol):
    """Submissions that may be read while they are taken, which raises BadInput for a bad one."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Submission]: ...


Checked = tuple[list[bytes], list[Keyed]]
"""Lines as they are stored, and what there is about their keys."""


class Intake:
    """What it has answered is committed. A submission of many is all or nothing: its group record decides."""

    def __init__(
        self,
        store: Store,
        bucket: Bucket,
        tasks: Tasks,
        versions: Versions,
        check: SubmissionCheck,
        dispatcher: Dispatcher,
        admission: Admission,
        clock: Clock,
    ) -> None:
        self.groups = Groups(store, bucket, tasks, clock)
        self._versions, self._check = versions, check
        self._dispatcher, self._admission, self._clock = dispatcher, admission, clock
        self._keys = Keys(store)
        self._last_order = 0

    async def submit(self, submission: Submission) -> Task:
        """One pending task. Raises BadInput, NotFound, EngineLeaves, Unavailable (then it may have been
        made)."""
        with self._admission.submitting():
            ready = await self._check.ready(submission)
            now = self._clock.now()
            # Submissions of one millisecond keep their order too.
            self._last_order = max(self._last_order + 1, order_of(now))
            task = task_of(ready, uuid7(now, secrets.token_bytes(10)), now, self._last_order)
            self._admission.admit([task.id])
            return await self._dispatcher.insert(task)

    async def submit_once(self, submission: Submission, key: str, body: bytes) -> str:
        """One task, whose id is the answer; a repeat of `key` makes no second one. Raises as `submit`."""

        async def check() -> Checked:
            line = with_digest(submission)
            return [encoded(await self._check.ready(line))], keyed(0, line)

        try:
            _, (task_id,) = await self._submit(check, key, body)
        except BadInput as error:
            raise _of_single(error) from None
        return task_id

    async def submit_group(self, lines: Lines, key: str | None, body: bytes) -> tuple[Group, list[str]]:
        """Tasks for all lines, or for none; answers with the group and the task ids, line by line.

        `body` is what the submitter sent: for a day a repeat of `key` with the same body makes nothing new,
        and with another one it raises BadInput. Errors name the line. After Unavailable, repeat it with the
        key."""
        return await self._submit(lambda: self._check_all(lines), key or secrets.token_hex(16), body)

    async def _submit(
        self, check: Callable[[], Awaitable[Checked]], key: str, body: bytes
    ) -> tuple[Group, list[str]]:
        with self._admission.submitting(), self.groups.noting_cuts():
            digest = await _digest(body)
            stored = await self.groups.kept(key)
            if stored is not None:
                return await self._complete(stored, digest, fresh=False)
            lines, with_keys = await check()
            if with_keys and self.groups.may_be_cut_short:  # its keys are taken, but no task has them yet
                await self.groups.finish()
            async with self._keys.reserved(with_keys):
                stored, fresh = await self.groups.commit(lines, key, digest, keyed=bool(with_keys))
                return await self._complete(stored, digest, fresh=fresh)

    async def _complete(self, stored: Stored[Group], digest: str, *, fresh: bool) -> tuple[Group, list[str]]:
        _check_body(stored.value, digest)
        ids = await ids_of(stored.value)
        self._admission.admit(ids)
        group = await self.groups.complete(stored, ids, fresh=fresh and not stored.value.keyed)
        if group.keyed:
            with_keys = [one async for index, line in self.groups.lines(group) for one in keyed(index, line)]
            for index, task in (await self._keys.tasks(with_keys)).items():
                ids[index] = task.id
        return group, ids

    async def _check_all(self, lines: Lines) -> Checked:
        """The lines as they are stored: checked, pinned, and as JSON, which takes little memory."""
        if not 0 < len(lines) <= MAX_LINES:
            raise BadInput(
                f"{len(lines)} lines in one submission",
                field="lines",
                remedy=f"give 1 to {MAX_LINES:,} lines",
            )
        pins: dict[tuple[str, str], str] = {}
        ready: list[bytes] = []
        with_keys: list[Keyed] = []
        async for index, given in in_turns(enumerate(lines)):
            line = with_digest(given)
            with_keys += keyed(index, line)
            ready.append(encoded(await self._check_line(index, line, pins)))
        return ready, with_keys

    async def _check_line(self, index: int, line: Submission, pins: dict[tuple[str, str], str]) -> Submission:
        try:
            if line.version is None and (line.project, line.spider) not in pins:
                spider = await self._versions.spider(line.project, line.spider)
                pins[line.project, line.spider] = spider.version
            return await self._check.ready(
                replace(line, version=line.version or pins[line.project, line.spider])
            )
        except (BadInput, NotFound) as error:
            field = getattr(error, "field", None) or "spider"
            raise BadInput(
                f"line {index + 1}: {getattr(error, 'detail', error)}",
                field=f"lines[{index}].{field}",
                remedy=error.remedy,
            ) from error


def _of_single(error: BadInput) -> BadInput:
    """Who submits one task has no lines."""
    field = error.field and error.field.removeprefix("lines[0].")
    return BadInput(error.detail.removeprefix("line 1: "), field=field, remedy=error.remedy)


async def _digest(body: bytes) -> str:
    if len(body) <= LARGE_BYTES:
        return hashlib.sha256(body).hexdigest()
    return (await asyncio.to_thread(hashlib.sha256, body)).hexdigest()


def _check_body(group: Group, digest: str) -> None:
    if group.body_sha256 != digest:
        raise BadInput(
            "this key was used for another submission",
            field="Idempotency-Key",
            remedy="use a new key for a new submission",
        )
