"""How a task's states and end are told to a person."""

from __future__ import annotations

from typing import Any

from silkmill.cli.text import span


def state_line(state: dict[str, Any]) -> str:
    """`pending (preparing)`, `created (next attempt at 2026-03-01T12:00:00Z): <how the last one ended>`."""
    about, reason = _about(state), state.get("reason")
    told = str(state["state"]) + (f" ({about})" if about else "")
    return told + (f": {reason}" if reason else "")


def _about(state: dict[str, Any]) -> str | None:
    if at := state.get("next_attempt_at"):
        return f"next attempt at {at[:19]}Z"
    return state.get("phase") if state["state"] != "running" else None


def end_line(task: dict[str, Any]) -> str:
    """`task …a1b2c3 finished after 12.3s: 348 items`."""
    runtime = task["stats"]["runtime_ms"]
    after = f" after {span(runtime / 1000)}" if runtime is not None else ""
    kind = f" ({task['error_class']})" if task["state"] == "error" and task["error_class"] else ""
    why = f" — {task['reason']}" if task["reason"] else ""
    return f"task {task['id']} {task['state']}{kind}{after}: {items(task['items'])}{why}"


def items(count: int) -> str:
    return "1 item" if count == 1 else f"{count} items"
