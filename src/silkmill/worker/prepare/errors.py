"""Why an attempt cannot be prepared."""

from __future__ import annotations


class PreparationFailed(Exception):
    """The message names the file and the cause. `permanent`: a new attempt would fail the same way."""

    def __init__(self, reason: str, *, permanent: bool = False) -> None:
        super().__init__(reason)
        self.permanent = permanent
