"""Times in a query."""

from __future__ import annotations

from datetime import datetime

from silkmill.domain.errors import BadInput


def aware(time: datetime | None) -> datetime | None:
    """A `since` that means one moment. Raises BadInput."""
    if time is not None and time.tzinfo is None:
        raise BadInput(f"since {time} has no time zone", field="since", remedy="write it as RFC 3339, with Z")
    return time
