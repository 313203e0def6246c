"""Every refusal of the core: one class per cause, the message made in the class."""

from __future__ import annotations


class SilkmillError(Exception):
    """Base of all errors that a caller is expected to handle."""


class BadInput(SilkmillError):
    """The caller's value is wrong; `field` names it and `remedy` says what to do."""

    def __init__(self, detail: str, *, field: str | None = None, remedy: str | None = None) -> None:
        self.detail, self.field, self.remedy = detail, field, remedy
        super().__init__(detail if remedy is None else f"{detail}; {remedy}")


class NoNode(BadInput):
    """A task for each of the nodes that there are, and there is none; `words` say what they must be."""

    def __init__(self, words: str) -> None:
        super().__init__(
            f"no node {words}", field="placement", remedy="connect such a node, or choose another mode"
        )


class NotFound(SilkmillError):
    """No record of that kind and name; `remedy` says how to find the right one."""

    def __init__(self, kind: str, name: str, *, remedy: str | None = None) -> None:
        self.kind, self.name, self.remedy = kind, name, remedy
        self.detail = f"no {kind} {name!r}"
        super().__init__(self.detail if remedy is None else f"{self.detail}; {remedy}")


class Ambiguous(SilkmillError):
    """A short id that fits several tasks."""

    def __init__(self, name: str, candidates: tuple[str, ...]) -> None:
        self.name, self.candidates = name, candidates
        super().__init__(f"{name!r} fits several tasks: {', '.join(candidates)}; give more characters")


class IllegalTransition(SilkmillError):
    """An event that the table does not allow in this state: a defect of the caller, never applied."""

    def __init__(self, task_id: str, state: str, phase: str | None, event: str) -> None:
        where = state if phase is None else f"{state} ({phase})"
        super().__init__(f"task {task_id}: {event} is not allowed while {where}")


class StaleAttempt(SilkmillError):
    """The attempt is not the current one, or is closed. The sender kills it and keeps its directory 24 h."""

    def __init__(self, task_id: str, number: int) -> None:
        self.task_id, self.number = task_id, number
        super().__init__(f"attempt {number} of task {task_id} is not the open one")


class StaleSession(SilkmillError):
    """The attempt is open but belongs to another session. The sender registers, adopts, repeats."""

    def __init__(self, node: str, session: str) -> None:
        self.node, self.session = node, session
        super().__init__(f"session {session} of node {node} is not the present one")


class OffsetMismatch(SilkmillError):
    """An append that does not begin where the stored stream ends; `expected` is where it does."""

    def __init__(self, expected: int, given: int) -> None:
        self.expected, self.given = expected, given
        super().__init__(f"append at {given}, but the stream is stored up to {expected}")


class Incomplete(SilkmillError):
    """A Finish before every byte and item of the attempt is stored."""

    def __init__(self, task_id: str, number: int) -> None:
        super().__init__(f"attempt {number} of task {task_id} still has bytes or items on the way")


class NoFreeSlot(SilkmillError):
    """An agent's refusal of an offer: it has no free slot. The offer is withdrawn at once."""


class Conflict(SilkmillError):
    """The record changed since it was read; read it again and decide again."""


class Duplicate(SilkmillError):
    """A unique key is taken; `key` names it."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"{key} exists already")


class EngineLeaves(SilkmillError):
    """The engine of a `silkmill run` has done all its tasks and takes no more. Nothing was stored."""

    def __init__(self) -> None:
        super().__init__("the engine that was found here is about to end, and takes no more tasks")


class Unavailable(SilkmillError):
    """A part of the engine is away for now (`part`: store, bucket, link). The caller repeats with back-off.

    After a write it is *ambiguous*: the write may have been committed. Repeats are made safe by `change_id`,
    by unique keys and by offsets."""

    def __init__(self, part: str, cause: str) -> None:
        self.part, self.cause = part, cause
        super().__init__(f"the {part} is unavailable: {cause}")
