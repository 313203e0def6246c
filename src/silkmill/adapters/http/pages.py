"""Lists in pages: what follows a cursor, at most so many of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, TypedDict, TypeVar

from fastapi import Query
from msgspec import Meta

MOST = 200
Cursor = Annotated[str | None, Query(description="`next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=MOST, description="At most so many.")]
Listed = TypeVar("Listed")


class Page(TypedDict):
    next: Annotated[str | None, Meta(description="The cursor of the following page; null on the last one.")]


def page_of(
    found: Iterable[Listed],
    key: Callable[[Listed], str],
    cursor: str | None,
    limit: int,
    *,
    newest_first: bool = False,
) -> tuple[list[Listed], str | None]:
    """Of lists that are read whole: a page by key, name by name, and the cursor of the next one.

    What was removed meanwhile is passed over, also when the cursor stood at it."""
    placed = sorted(((key(one).split("/"), one) for one in found), key=lambda entry: entry[0])
    if newest_first:
        placed.reverse()
    if cursor is not None:
        begin = cursor.split("/")
        placed = [(at, one) for at, one in placed if (at < begin if newest_first else at > begin)]
    shown = placed[:limit]
    following = "/".join(shown[-1][0]) if len(placed) > limit else None
    return [one for _, one in shown], following
