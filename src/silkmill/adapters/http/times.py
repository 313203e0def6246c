"""Times in queries and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from silkmill.domain.errors import BadInput

Time = Annotated[datetime, Meta(tz=True)]
"""One moment, as RFC 3339: in the shape of an answer."""


def aware(time: datetime | None) -> datetime | None:
    """A `since` that means one moment. Raises BadInput."""
    if time is not None and time.tzinfo is None:
        raise BadInput(f"since {time} has no time zone", field="since", remedy="write it as RFC 3339, with Z")
    return time
