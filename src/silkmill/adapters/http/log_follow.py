"""A task's log as it grows, over all its attempts, with the states in between."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

from silkmill.adapters.http.event_stream import HEARTBEAT, event, next_within
from silkmill.adapters.http.log_lines import Choice, frame_views
from silkmill.adapters.http.parts import Parts
from silkmill.adapters.http.task_view import state_view
from silkmill.adapters.http.which_attempt import current_number, numbers
from silkmill.domain.errors import BadInput, NotFound
from silkmill.domain.task import Task
from silkmill.master.feed import Hint, LimitsChanged, Resync, StatisticsChanged, Subscription, TaskChanged
from silkmill.master.logs import LogPage
from silkmill.master.logs.closing import closing_page
from silkmill.master.logs.sieve import Sieve

PAGE_BYTES = 256 * 1024
_POSITION = re.compile(r"([1-9]\d{0,9}):(\d{1,18})\Z")


@dataclass(frozen=True, slots=True)
class Position:
    """Where a reader is: the next byte it has not seen."""

    attempt: int
    offset: int

    def __str__(self) -> str:
        return f"{self.attempt}:{self.offset}"


def read_position(text: str) -> Position:
    """Raises BadInput."""
    match = _POSITION.match(text)
    if match is None:
        raise BadInput(
            f"{text!r} is no position of a log", field="Last-Event-ID", remedy="send the last id as it came"
        )
    return Position(int(match[1]), int(match[2]))


class LogFollow:
    """What is stored is read when the client has taken what was sent before: a slow one costs no memory."""

    def __init__(
        self, parts: Parts, choice: Choice, task_id: str, attempt: int | None, position: Position | None
    ) -> None:
        self._parts, self._choice = parts, choice
        self._task_id, self._attempt = task_id, attempt
        self._position = position
        self._sieve: tuple[int, Sieve] | None = None
        """Of the attempt that is read."""
        self._told: bytes = b""
        self._closed = 0
        """The attempt whose closing line was sent."""

    async def events(self, tail: int | None) -> AsyncGenerator[bytes]:
        """`tail`: begin with so many last lines, unless the client resumes."""
        with self._parts.feed.subscribe() as hints:
            while True:
                task = await self._parts.tasks.get(self._task_id)
                if state := self._new_state(task):
                    yield state
                if self._position is None and tail is not None and (last := await self._last(task, tail)):
                    yield last
                async for piece in self._rest(task):
                    yield piece
                if self._is_over(task):
                    yield event("end", state_view(task))
                    return
                if not await self._wait_change(hints):
                    yield HEARTBEAT

    async def _last(self, task: Task, lines: int) -> bytes | None:
        number = self._attempt or current_number(task)
        if number is None:
            return None
        end = await self._parts.log_reader.tail(task, number, 0)
        self._position = Position(number, end.next_offset)
        if end.end and closing_page(task, number):
            self._pass_end_of(number)
        frames = await self._choice.last_frames(self._parts.log_reader, task, number, lines)
        return self._log_event(frames) if lines else None

    async def _rest(self, task: Task) -> AsyncIterator[bytes]:
        """What is stored beyond the position, attempt by attempt."""
        while (position := self._position or await self._first(task)) is not None:
            try:
                page = await self._parts.log_reader.read(task, position.attempt, position.offset, PAGE_BYTES)
            except NotFound:  # an attempt the history no longer keeps, or a withdrawn one
                page = None
            if page is not None:
                self._position = Position(position.attempt, page.next_offset)
                if frames := await self._sifted(task, position.attempt, page):
                    yield self._log_event(frames)
                if page.end and (frames := await self._closing_line(task, position.attempt)):
                    yield self._log_event(frames)
            if page is not None and not page.end:
                if page.next_offset == position.offset:
                    return
            elif not self._go_on(task, position.attempt):
                return

    async def _sifted(self, task: Task, number: int, page: LogPage) -> bytes:
        """The wanted frames of a page; pages of one attempt come in order."""
        if self._sieve is None or self._sieve[0] != number:
            self._sieve = number, await self._new_sieve(task, number, page)
        return (await self._parts.log_reader.sifted(page, self._sieve[1])).data

    async def _new_sieve(self, task: Task, number: int, page: LogPage) -> Sieve:
        return await self._parts.log_reader.sieve(task, number, self._choice.wanted, page.offset)

    async def _closing_line(self, task: Task, number: int) -> bytes:
        """Of an attempt that went with its worker, once."""
        page = closing_page(task, number)
        if page is None or self._closed == number:
            return b""
        self._pass_end_of(number)
        return (await self._parts.log_reader.sifted(page, Sieve(self._choice.wanted))).data

    def _pass_end_of(self, number: int) -> None:
        """Nothing of the attempt is left, its closing line neither: who comes back begins with the next."""
        self._closed = number
        if self._attempt is None:
            self._position = Position(number + 1, 0)

    async def _first(self, task: Task) -> Position | None:
        number, since = self._attempt or current_number(task), self._choice.wanted.since
        if number is None or since is None:
            return Position(number, 0) if number else None
        return Position(number, await self._parts.log_reader.place(task, number, since))

    def _go_on(self, task: Task, after: int) -> bool:
        """To the next attempt, if there is one and the reader did not choose."""
        following = [number for number in numbers(task) if number > after]
        if self._attempt is not None or not following:
            return False
        self._position = Position(following[0], 0)
        return True

    def _is_over(self, task: Task) -> bool:
        closed_choice = self._attempt is not None and self._attempt != (task.attempt and task.attempt.number)
        return task.state.final or closed_choice

    def _new_state(self, task: Task) -> bytes | None:
        state = event("state", state_view(task))
        if state == self._told:
            return None
        self._told = state
        return state

    def _log_event(self, frames: bytes) -> bytes:
        return event("log", frame_views(frames), str(self._position))

    async def _wait_change(self, hints: Subscription) -> bool:
        """Until this task may have changed or its log grown; False when it is time for a sign of life."""
        while (hint := await next_within(hints)) is not None:
            if _concerns(hint, self._task_id):
                return True
        return False


def _concerns(hint: Hint, task_id: str) -> bool:
    match hint:
        case Resync():
            return True
        case TaskChanged(task):
            return task.id == task_id
        case LimitsChanged() | StatisticsChanged():
            return False
    return hint.ref.task_id == task_id
