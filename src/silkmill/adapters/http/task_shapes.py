"""The shapes of tasks in answers, and of what tasks consist of."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

from msgspec import Meta

from silkmill.adapters.http.times import Time
from silkmill.domain.states import Phase, State


class StatsShape(TypedDict):
    """Numbers of the latest attempt: now, or at its end. Null: not known."""

    wait_ms: Annotated[int, Meta(description="Until a spider was first started for the task.")]
    runtime_ms: int | None
    items: int
    items_per_minute: float | None
    errors: Annotated[int | None, Meta(description="What the spider told, and bad messages.")]
    log_lines: int | None
    log_bytes: int
    rss_bytes: Annotated[int | None, Meta(description="Of the process tree: now, or the most there was.")]
    cpu_seconds: float | None
    processes: int | None
    read_bytes: int | None
    written_bytes: int | None


class AttemptShape(TypedDict):
    """One execution of a task."""

    number: int
    node: str
    phase: Phase
    outcome: Annotated[
        str | None,
        Meta(
            description="exit, signal, limit, cancelled, lost, given_back, never_started; null: it is open."
        ),
    ]
    error_class: str | None
    reason: str | None
    exit_code: int | None
    signal: int | None
    accepted: Annotated[bool, Meta(description="It gave the task its final state.")]
    started_at: Time | None
    finished_at: Time | None
    items: int
    log_bytes: int


class TaskSummary(TypedDict):
    """A task in a list. What each attempt has once is of the latest one."""

    id: str
    project: str
    spider: str
    version: str
    state: State
    phase: Phase | None
    reason: str | None
    priority: Annotated[int, Meta(description="1 (first) to 10 (last).")]
    params: dict[str, Any]
    settings: Annotated[dict[str, str], Meta(description="Of Scrapy.")]
    tags: tuple[str, ...]
    node: str | None
    attempt: int | None
    error_class: Annotated[
        str | None, Meta(description="spider, network, system, limit, cancelled; null: no error.")
    ]
    exit_code: int | None
    signal: int | None
    retry_of: str | None
    next_attempt_at: Annotated[Time | None, Meta(description="Set while it waits for a retry.")]
    progress: Annotated[float | None, Meta(description="0 to 1, as the spider told it.")]
    stats: StatsShape
    items: int
    log_bytes: int
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    schedule: Annotated[str | None, Meta(description="PROJECT/SPIDER/NAME of the schedule it is of.")]
    firing: Annotated[str | None, Meta(description="Which firing of its schedule it is.")]
    after: Annotated[str | None, Meta(description="The task that it waits for, or waited for.")]
    log_deleted_at: Time | None
    items_deleted_at: Time | None


class TaskShape(TaskSummary):
    """A task with all that is known of it."""

    attempts: list[AttemptShape]
    traceback: str | None
    status: Annotated[Any, Meta(description="The latest STATUS message.")]


class TaskPage(TypedDict):
    tasks: list[TaskSummary]
    next: Annotated[str | None, Meta(description="The cursor of the following page.")]


class StateCounts(TypedDict):
    created: int
    pending: int
    running: int
    finished: int
    error: int
    cancelled: int
    abnormal: int


class TaskCounts(TypedDict):
    total: int
    states: StateCounts


class TaskState(TypedDict):
    """What a hint says of a task."""

    id: str
    revision: int
    state: State
    phase: Phase | None
    attempt: Annotated[int | None, Meta(description="The open one.")]
    reason: str | None
    next_attempt_at: Time | None


class TaskNumbers(TypedDict):
    """The numbers of a running task, as a hint says them."""

    id: str
    attempt: int | None
    progress: float | None
    stats: StatsShape
