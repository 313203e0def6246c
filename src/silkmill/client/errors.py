"""What can go wrong for a client: one class per cause, each with the exit code a command ends with."""

from __future__ import annotations

import json
from typing import Any

TASK_FAILED, BAD_INPUT, CANCELLED, NOT_FOUND, REFUSED = 1, 2, 3, 4, 5


class ClientError(Exception):
    """Base of all errors of this package; the message says what happened and what to do."""

    exit_code = REFUSED


class NoServer(ClientError):
    """No server was found, or none answers at its address. Nothing was sent."""


class ConnectionLost(ClientError):
    """The server went away in the middle of a call. A call that writes may have been carried out."""

    def __init__(self, url: str, cause: BaseException) -> None:
        super().__init__(f"the server at {url} went away: {cause or type(cause).__name__}")


class Problem(ClientError):
    """The server's refusal (problem+json, RFC 9457), with the field that is wrong and what to do."""

    def __init__(self, status: int, facts: dict[str, Any]) -> None:
        self.status = status
        self.title = str(facts.get("title") or f"HTTP {status}")
        self.detail = str(facts.get("detail") or self.title)
        self.field: str | None = facts.get("field")
        self.remedy: str | None = facts.get("remedy")
        super().__init__(self.detail if self.remedy is None else f"{self.detail}; {self.remedy}")

    @classmethod
    def of(cls, status: int, body: bytes) -> Problem:
        try:
            facts = json.loads(body)
        except ValueError:
            facts = None
        return cls(
            status, facts if isinstance(facts, dict) else {"detail": body[:500].decode("utf-8", "replace")}
        )

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        if self.status == 404:
            return NOT_FOUND
        return BAD_INPUT if self.status in (400, 405, 409, 413, 422) else REFUSED
