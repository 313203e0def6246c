"""A submission: what somebody asks for, checked against the spider's version before it becomes a task."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from silkmill.domain.errors import BadInput
from silkmill.domain.placement import ANYWHERE, Placement, pinned
from silkmill.domain.spider import (
    SpiderConfig,
    check_settings,
    check_tag,
    check_variable,
    render_command,
    resolve_params,
)
from silkmill.domain.task import Task
from silkmill.master.versions import Versions
from silkmill.master.workers import Workers


@dataclass(frozen=True, slots=True)
class Submission:
    """One run of a spider. `version` and `priority` None: those of the spider."""

    project: str
    spider: str
    version: str | None = None
    params: dict[str, Any] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    priority: int | None = None
    tags: tuple[str, ...] = ()
    retry_of: str | None = None
    placement: Placement | None = None
    """None: as the spider says."""
    key: str | None = None
    key_digest: str | None = None
    schedule: str | None = None


class SubmissionCheck:
    """What both a submission and a firing pass before they become a task."""

    def __init__(self, versions: Versions, workers: Workers) -> None:
        self._versions, self._workers = versions, workers

    @property
    def knows_a_node(self) -> bool:
        """An engine that has just begun does not know its own yet."""
        return bool(self._workers.connected())

    async def ready(self, submission: Submission) -> Submission:
        """It as `checked`, on nodes that there are; its version is kept for it. Raises BadInput, NotFound."""
        version = submission.version
        if version is None:
            version = (await self._versions.spider(submission.project, submission.spider)).version
        await self._versions.use(version)
        config = await self._versions.config(submission.project, submission.spider, version)
        ready = checked(submission, version, config)
        if ready.placement and ready.placement.mode == "all":  # there is one node, so one task
            return replace(ready, placement=pinned(ready.placement, self._workers.connected())[0])
        return ready


def checked(submission: Submission, version: str, config: SpiderConfig) -> Submission:
    """The submission with version, priority and tags filled in. Raises BadInput for anything that could only
    fail later: parameters, tags, environment, settings, priority."""
    render_command(config, resolve_params(config, submission.params))
    check_settings(config, submission.settings)
    for tag in () if submission.retry_of else submission.tags:  # those of an older task were taken once
        check_tag(tag)
    for name, value in submission.env.items():
        check_variable(name, value)
    priority = config.priority if submission.priority is None else submission.priority
    if not 1 <= priority <= 10:
        raise BadInput(
            f"priority {priority} is out of range", field="priority", remedy="give 1 (first) to 10 (last)"
        )
    if submission.key is not None and not (0 < len(submission.key) <= 200 and submission.key.isprintable()):
        raise BadInput(
            "the key is empty, too long, or has control characters in it",
            field="key",
            remedy="give 1 to 200 printable characters",
        )
    tags = tuple(dict.fromkeys((*config.tags, *submission.tags)))
    placement = submission.placement or config.placement
    return replace(submission, version=version, priority=priority, tags=tags, placement=placement)


def task_of(
    submission: Submission, task_id: str, created_at: datetime, order: int, group: str | None = None
) -> Task:
    """The pending task of a checked submission."""
    return Task(
        id=task_id,
        project=submission.project,
        spider=submission.spider,
        version=submission.version or "",
        created_at=created_at,
        order=order,
        params=submission.params,
        env=submission.env,
        settings=submission.settings,
        priority=submission.priority or 5,
        tags=submission.tags,
        retry_of=submission.retry_of,
        group=group,
        placement=None if submission.placement == ANYWHERE else submission.placement,
        key=submission.key,
        key_digest=submission.key_digest,
        schedule=submission.schedule,
    )
