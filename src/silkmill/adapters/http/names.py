"""Parameters that several routes have: what they name, and within which bounds."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

MAX_TAIL = 10_000

TaskId = Annotated[str, Path(description="The full id, its last 6 or more characters, or `last`.")]
ProjectName = Annotated[str, Path(description="The name of a project.")]
SpiderName = Annotated[str, Path(description="The name of a spider.")]
ScheduleName = Annotated[str, Path(description="The name of a schedule of the spider.")]
VersionId = Annotated[str, Path(description="The id of a version.")]

OfProject = Annotated[str | None, Query(description="Of this project; any by default.")]
OfSpider = Annotated[str | None, Query(description="Of spiders of this name; any by default.")]
Attempt = Annotated[
    int | None, Query(ge=1, description="The number of an attempt; the current one by default.")
]
Tail = Annotated[int | None, Query(ge=0, le=MAX_TAIL, description="The last lines, so many.")]
Grep = Annotated[
    str | None,
    Query(description="Lines in which this regular expression of Python is found, of 4,096 bytes."),
]

OF_A_TASK = (404, 409, 422)
"""How a task id can be wrong: of nothing, of several, too short."""
