"""How long a command that follows tasks looks for a server that went away."""

from __future__ import annotations

import time

from silkmill.cli.talk import say
from silkmill.client.errors import ClientError

LOST_SECONDS = 60.0
LOOK_SECONDS = 0.5


class ServerGone(ClientError):
    """It did not come back; the tasks do not need this client."""

    def __init__(self, task_ids: list[str]) -> None:
        ids = " ".join(task_ids)
        super().__init__(f"no server came back; what is open goes on with the next one: silkmill wait {ids}")


class Patience:
    def __init__(self) -> None:
        self._lost_at: float | None = None

    def found(self) -> None:
        self._lost_at = None

    def lost(self, error: ClientError, task_ids: list[str]) -> None:
        """Pause before the next try. Raises ServerGone."""
        now = time.monotonic()
        if self._lost_at is None:
            self._lost_at = now
            say(f"{error}; looking for it again")
        if now - self._lost_at > LOST_SECONDS:
            raise ServerGone(task_ids) from error
        time.sleep(LOOK_SECONDS)
