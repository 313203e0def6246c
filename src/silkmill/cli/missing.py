"""What is said of a task that may wait for long: that it is waited for, and for what it waits."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from silkmill.cli.talk import say
from silkmill.client.client import Client
from silkmill.client.errors import ConnectionLost, NoServer


def say_listing(client: Client, task_id: str) -> None:
    """A deploy waits for it, perhaps for minutes: an environment may have to be built."""
    say(f"Scrapy is asked for the spiders of the project; `silkmill logs -f {task_id}` shows how far it is")
    say_what_is_missing(client, client.task(task_id))


def say_what_is_missing(client: Client, task: dict[str, Any]) -> None:
    """A task that waits for what may never come must not just say that it is pending."""
    if (task["state"], task["phase"]) != ("pending", None):
        return
    with suppress(ConnectionLost, NoServer):  # whoever follows the task knows what to do about that
        why = client.why(task["id"])
        if why["waits_for"] in ("placement", "permit", "engine"):
            say(f"it waits: {why['text']}")
